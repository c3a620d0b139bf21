# SPDX-License-Identifier: Apache-2.0
# mypy: disable-error-code="attr-defined"
"""Pods that sleep warm while something dies or somebody ends them: nothing sticks, and the bill holds.

Freezes are read from the kernel and runs from the API server, neither from what is under test.
"""

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import floor
from time import monotonic, sleep, time

import httpx
import pytest

from tests.live.clients import daemons, web
from tests.live.clients.publisher import Deployed, Json, Publisher, provider
from tests.live.conftest import unique
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.books import Books
from tests.live.observers.cluster import label_of, remains, replicas
from tests.live.observers.cpu import KernelCpu, asked_of
from tests.live.observers.freezes import Freeze, FreezeTimes, FrozenGroups
from tests.live.observers.run_times import RunTimes
from tests.live.observers.waiting import until
from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.cluster.freezer.door import ANSWER_LIMIT_S
from trustedpods.provider.cluster.objects.workload.awake_cpu import ASLEEP_MILLI
from trustedpods.provider.core.metering import Ceiling, Ledger, Run, count
from trustedpods.provider.core.metering import Freeze as BookedFreeze
from trustedpods.provider.serving.warm.freeze_book import LAPSE_S

pytestmark = [pytest.mark.live, pytest.mark.soak, pytest.mark.timeout(900)]

STUCK_AFTER_S = 30
"""What a kill or an end spoils is mended by then."""

ASK_LIMIT_S = 10
LOOK_EVERY_S = 0.002
THAW_OFFSETS_S = (0.0, 0.005, 0.02)
"""After the request that wakes: before the daemon has heard of it, while it thaws, after that."""

BOOKED_LATE_S = LAPSE_S + STUCK_AFTER_S
"""A freeze may be open for so long after its thaw in the books, where whoever saw the thaw was killed."""

BOOKED_EARLY_S = ANSWER_LIMIT_S
"""It is written down before its node is asked for it, which has so long to answer."""

FUNDED_FOR = "30s"
"""Of awake time."""

DRY_AFTER_S = 180
"""Frozen, a pod of `scratch_heavy` lives on that for about twice as long."""

OK = 200
AWAKE_MILLI = 100
"""Of `hello`."""

PARTS = ("provider", "netpol", "kubelet", "containerd")


def sleeps_warm(spec: Json) -> None:
    spec["scale"] = {"min": 0, "max": 1, "idleAfter": "1s", "sleep": "warm", "warmFor": "1h"}


def scratch_heavy(spec: Json) -> None:
    """Half of what it costs awake is its scratch disk, which costs as much while it is frozen."""
    sleeps_warm(spec)
    spec["containers"][0]["resources"]["limits"]["ephemeral-storage"] = "20Gi"


def status_of(url: str) -> int:
    """0 where there was no whole answer."""
    try:
        return web.get(url, limit_s=ASK_LIMIT_S).status
    except httpx.HTTPError:
        return 0


@dataclass
class Watched:
    """A pod that sleeps warm, and whoever sees what becomes of it."""

    market: LiveLocalnet
    person: Publisher
    pod: Deployed
    runs: RunTimes
    freezes: FreezeTimes
    kernel: FrozenGroups = field(init=False)
    namespaces: set[str] = field(init=False)
    """Of all its versions."""

    def __post_init__(self) -> None:
        self.kernel, self.namespaces = FrozenGroups(self.market), {self.pod.namespace}

    def told(self, reason: str) -> float | None:
        """When its publisher was first told of something, in Unix seconds; None: not yet."""
        events = self.person.run("status", self.pod.name).json["pod_events"]
        return next((float(event["at"]) for event in events if event["reason"] == reason), None)

    def update(self, change: Callable[[str], str]) -> None:
        """Deploy another version of it."""
        self.pod.file.write_text(change(self.pod.file.read_text()))
        self.pod = self.person.deploy(self.pod.file)
        self.namespaces.add(self.pod.namespace)

    def mine(self) -> set[str]:
        """The uids of its replicas as the API server has them now."""
        return {one["metadata"]["uid"] for one in replicas(self.market, self.pod.namespace)}

    def until_frozen(self) -> str:
        """The uid of its one replica once the kernel holds it."""

        def look() -> str | None:
            found = self.mine()
            return next(iter(found)) if len(found) == 1 and found <= self.kernel.frozen() else None

        uid = until("its replica is frozen", look)
        assert uid is not None
        return uid

    def until_just_frozen(self) -> None:
        """Return in the moment in which the kernel begins to hold its replica."""
        groups = self.kernel.groups()
        mine, limit = [groups[uid] for uid in self.mine() if uid in groups], monotonic() + 60
        while not any(map(self.kernel.is_frozen, mine)):
            assert monotonic() < limit, "it does not fall asleep"
            sleep(LOOK_EVERY_S)

    def until_served(self, why: str) -> None:
        """Requests are answered, and no replica that ends is held up."""
        until(f"requests are answered: {why}", lambda: status_of(self.pod.url) == 200, STUCK_AFTER_S)
        until(f"nothing ends for ever: {why}", lambda: not self.ending(), STUCK_AFTER_S)

    def ending(self) -> list[str]:
        found = [one["metadata"] for one in replicas(self.market, self.pod.namespace)]
        return [one["uid"] for one in found if "deletionTimestamp" in one]

    def end(self) -> None:
        """Delete it: within the limit nothing of it is left, frozen or not."""
        self.person.run("delete", self.pod.name)
        self.person.gone(self.pod.name)
        self.nothing_left()

    def nothing_left(self) -> None:
        label = label_of(self.pod.url)
        until("nothing of it remains", lambda: not remains(self.market, label), STUCK_AFTER_S)
        uids = {uid for namespace in self.namespaces for uid in self.runs.uids(namespace)}
        assert not uids & self.kernel.frozen()
        assert not uids & self.kernel.groups().keys()


@contextmanager
def watched(
    market: LiveLocalnet, person: Publisher, change: Callable[[Json], None] = sleeps_warm, *words: str
) -> Iterator[Watched]:
    """Deploy one while everything that it does is seen."""
    with RunTimes(market) as runs, FreezeTimes(market) as freezes:
        pod = person.deploy(person.manifest("hello", unique("warmkill"), change), *words)
        yield Watched(market, person, pod, runs, freezes)


@contextmanager
def killed(one: Watched, part: str, when: str) -> Iterator[None]:
    """Kill a part as soon as the block is over; once there is another, nothing may be stuck."""
    name = f"k1/{part}"
    pid = one.market.pid(name)
    yield
    os.kill(pid, signal.SIGKILL)
    daemons.until_part_back(one.market, name, pid)
    one.until_served(f"{part} killed {when}")


def covers(row: BookedFreeze, known: Freeze) -> bool:
    """Whether the books have a freeze from its first second to its last; one without an end lasts on."""
    assert known.until is not None
    begun = row.uid == known.uid and row.started <= floor(known.since[1])
    return begun and (row.ended is None or row.ended >= floor(known.until[0]))


def was_seen(row: BookedFreeze, seen: list[Freeze]) -> bool:
    """Whether the kernel froze it when the books say so, and let it go no long time before they do.

    An agent that is killed lets all go, and may be asked for the same freeze again.
    """
    mine = [one for one in seen if one.uid == row.uid]
    if not any(row.started <= one.since[1] <= row.started + BOOKED_EARLY_S for one in mine):
        return False
    last = max(one.until[1] for one in mine if one.until and row.started <= one.since[1])
    return row.ended is None or row.ended <= last + BOOKED_LATE_S


def check_bill(one: Watched) -> None:
    """The bill is the law's for what the API server and the kernel saw, to the unit.

    Every second that the kernel held a replica is a freeze in the books, and those are all the kernel's.
    """
    uids = [uid for namespace in one.namespaces for uid in one.runs.uids(namespace)]
    until("all have ended", lambda: all(map(one.runs.over, uids)))
    query = "select uid, started, ended, memory_mib from freezes where channel = ? order by started"
    booked = [BookedFreeze(*row) for row in Books(one.market).rows(query, one.pod.channel)]
    seen = one.freezes.of(uids)
    assert seen
    for known in seen:
        assert any(covers(row, known) for row in booked), f"{known} costs CPU: {booked}"
    for row in booked:
        assert was_seen(row, seen), f"{row} is more than was frozen: {seen}"
    runs = tuple(
        Run(uid, begin, begin + one.runs.served(uid), 100, 32, 16)
        for uid in uids
        for begin in [one.runs.runs[uid].begun]
    )
    last = max(int(run.ended or 0) for run in runs)
    ledger = Ledger(runs, ceilings=(Ceiling(UnixSeconds(0), 100, 32, 16),), freezes=tuple(booked))
    law = count(ledger, min(run.started for run in runs), last).usage
    bill = one.person.run("bill", one.pod.name).json
    assert bill["problems"] == []
    billed = [sum(line[name] for line in bill["lines"]) for name in ("cpu_core_ms", "memory_mib_s")]
    assert billed == [law.cpu_core_ms, law.memory_mib_s], (runs, booked)


@pytest.mark.parametrize("part", PARTS)
def test_killed_while_it_is_frozen_falls_asleep_or_wakes(
    market: LiveLocalnet, publisher: Publisher, part: str
) -> None:
    with watched(market, publisher) as one, ThreadPoolExecutor(1) as pool:
        with killed(one, part, "while it is frozen"):
            one.until_frozen()
        with killed(one, part, "in the moment of a freeze"):
            one.until_just_frozen()
        for offset in THAW_OFFSETS_S:
            one.until_frozen()
            with killed(one, part, f"{offset} s after a request"):
                asked = pool.submit(status_of, one.pod.url)
                sleep(offset)
            asked.result()
        one.until_frozen()
        pid = market.pid(f"k1/{part}")
        os.kill(pid, signal.SIGKILL)
        daemons.until_part_back(market, f"k1/{part}", pid)  # a verb waits for no daemon that is away
        one.end()
        check_bill(one)


@pytest.mark.parametrize("part", PARTS)
def test_killed_while_its_cpu_is_lent_has_all_of_it_again(
    market: LiveLocalnet, publisher: Publisher, part: str
) -> None:
    """A pod that runs with the CPU of its sleep is the worst that such a kill could leave."""
    with watched(market, publisher) as one:
        cpu, place = KernelCpu(market), one.pod.namespace

        def whole() -> bool:
            """Asked by a request that keeps it awake."""
            if status_of(one.pod.url) != OK or asked_of(market, place) != [AWAKE_MILLI]:
                return False
            return [cpu.quotas(uid) for uid in one.mine()] == [[AWAKE_MILLI] * 2]

        for offset in THAW_OFFSETS_S:
            one.until_frozen()
            until("it has lent its CPU", lambda: asked_of(market, place) == [ASLEEP_MILLI])
            with killed(one, part, f"{offset} s after a request"), ThreadPoolExecutor(1) as pool:
                asked = pool.submit(status_of, one.pod.url)
                sleep(offset)
            asked.result()
            until(f"it has all of its CPU: {part} killed", whole, STUCK_AFTER_S)
        one.end()
        check_bill(one)


@pytest.mark.parametrize("how", ["deleted", "evicted", "sent away", "updated"])
def test_ended_while_it_is_frozen(market: LiveLocalnet, publisher: Publisher, how: str) -> None:
    with watched(market, publisher) as one:
        uid, pod = one.until_frozen(), one.pod
        if how == "sent away":
            began = time()
            provider(market, "evict", label_of(pod.url), "--reason", "a test")
            publisher.gone(pod.name)
            one.nothing_left()
        elif how == "updated":
            began = time()
            one.update(lambda text: text.replace("hello from a trusted pod", "another greeting"))
            until("the version before ends", lambda: uid not in one.kernel.groups(), STUCK_AFTER_S)
            one.until_served(how)
            one.end()
        else:
            [name] = [found["metadata"]["name"] for found in replicas(market, pod.namespace)]
            began = time()
            if how == "evicted":
                body = f'{{"apiVersion":"policy/v1","kind":"Eviction","metadata":{{"name":"{name}"}}}}'
                path = f"/api/v1/namespaces/{pod.namespace}/pods/{name}/eviction"
                market.kubectl("create", "--raw", path, "-f", "-", stdin=body)
            else:
                market.kubectl("-n", pod.namespace, "delete", "pod", name, "--wait=false")
            until("it ends", lambda: uid not in one.mine(), STUCK_AFTER_S)
            one.until_served(how)
            one.end()
        last = one.freezes.of([uid])[-1]
        assert last.until is not None
        assert last.until[1] < began + STUCK_AFTER_S
        check_bill(one)


def test_the_provider_is_drained_while_pods_are_frozen(market: LiveLocalnet, publisher: Publisher) -> None:
    with watched(market, publisher) as one:
        one.until_frozen()
        try:
            provider(market, "drain", "--reason", "a test")
            publisher.gone(one.pod.name)
            one.nothing_left()
            check_bill(one)
        finally:
            provider(market, "drain", "--undo")


def test_its_money_ends_while_it_is_frozen(market: LiveLocalnet, publisher: Publisher) -> None:
    """The channel runs dry under a frozen pod: it is thawed, stopped, and gone, and costs what it did."""
    with watched(market, publisher, scratch_heavy, "--deposit", FUNDED_FOR) as one:
        uid = one.until_frozen()
        stopped = until("its money has ended", lambda: one.told("funds-out"), DRY_AFTER_S)
        assert one.freezes.of([uid])[-1].since[0] < stopped, "it was frozen when its money ended"
        one.person.gone(one.pod.name)
        one.nothing_left()
        last = one.freezes.of([uid])[-1]
        assert last.until is not None
        assert last.until[1] < stopped + STUCK_AFTER_S
        check_bill(one)
