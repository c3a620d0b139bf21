# SPDX-License-Identifier: Apache-2.0
"""Twenty pods that sleep and wake all along under mixed load, while every part is killed at random.

Nothing may fail but what was in flight through HAProxy or the activator when that very process was
killed, and the bill is what an independent observer computes.
"""

import json
import random
import secrets
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import monotonic, time

import pytest
import trio

from tests.chaos.bills import MIB, Seen, billed, expected, surely_counted, worth
from tests.chaos.faults import Faults
from tests.chaos.load import Load, Target
from tests.chaos.observer import Observer, unix
from tests.chaos.verdict import CARRIERS, Kill, Kind, Request, unexplained
from tests.live.clients.publisher import Deployed, Json, Publisher, provider
from tests.live.conftest import unique
from tests.live.localnet_fixture import LiveLocalnet, localnet
from tests.live.observers.books import Books
from tests.live.observers.cluster import until_zero
from tests.live.observers.money import Bank
from trustedpods.localnet.market.provider_files import IDLE_MIB
from trustedpods.localnet.settings import Knobs
from trustedpods.protocol.units import Usage
from trustedpods.publisher.images.source import open_image

pytestmark = [pytest.mark.timeout(1500)]

KINDS: tuple[Kind, ...] = ("short", "upload", "download", "websocket", "grpc", "tcp")
SERVICES: dict[Kind, str] = {"grpc": "rpc", "tcp": "raw"}
PODS = 20
MOST = 1
"""Replicas of each pod, at most."""

ZERO_LIMIT_S = 150
DEPLOYS_AT_ONCE = 4
KNOBS = Knobs(claim_interval_s=20, unlock_s=60, grace_s=60, warn_before_s=10, idle_after_s=2)
QUANTITIES = [field.name for field in fields(Usage)]
NEAR = 0.01
"""The bill may differ from the observer's by so much."""

AROUND_S = 60
"""Replicas that began so long before or after a lost request are shown with it."""


@pytest.fixture
def market() -> Iterator[LiveLocalnet]:
    """One of its own: nobody else's test lives through this."""
    with localnet(knobs=KNOBS) as running:
        yield running


@pytest.mark.live
def test_ninety_seconds(market: LiveLocalnet, tmp_path: Path) -> None:
    storm(market, tmp_path, 90.0)


@pytest.mark.soak
def test_ten_minutes(market: LiveLocalnet, tmp_path: Path) -> None:
    storm(market, tmp_path, 600.0)


def storm(market: LiveLocalnet, folder: Path, seconds: float) -> None:
    """The whole story: deploy, load and kill, settle, compare."""
    seed = secrets.randbits(32)
    bank = Bank(market)
    person = Publisher(market, bank.new_account(folder), folder)
    with Observer(market) as observer:
        pods = deploy_all(person)
        load = Load([Target(pod.name, kind, endpoint(kind, pod)) for kind, pod in pods], seed)
        faults = Faults(market, random.Random(seed))
        trio.run(rage, load, faults, seconds)
        report(seed, load.requests, faults)
        for _, pod in pods:
            until_zero(market, pod.namespace, ZERO_LIMIT_S)
        provider(market, "claim")
    lost = unexplained(load.requests, faults.kills)
    for request in lost:
        around(request, pods, observer)
    for name in sorted({request.pod for request in lost}):
        told(market, person, next(pod for _, pod in pods if pod.name == name))
    for request in lost[:1]:
        logged(market, request)
    assert not lost, f"{len(lost)} of {len(load.requests)} requests failed; the first: {lost[:5]}"
    assert {request.kind for request in load.requests if not request.error} == set(KINDS)
    assert {kill.part for kill in faults.kills} >= set(CARRIERS)
    check_bills(market, person, [pod for _, pod in pods], observer, (load.requests, faults.kills))


async def rage(load: Load, faults: Faults, seconds: float) -> None:
    """Kill while there is load; the last requests end in peace."""
    end = monotonic() + seconds
    async with trio.open_nursery() as nursery:
        nursery.start_soon(faults.run)
        await load.run(end)
        nursery.cancel_scope.cancel()


# ---- the pods --------------------------------------------------------------------------------


def deploy_all(person: Publisher) -> list[tuple[Kind, Deployed]]:
    """Twenty pods, of all kinds in turn."""
    kinds = [KINDS[place % len(KINDS)] for place in range(PODS)]
    files = [person.manifest("echo", unique(kind), partial(shape, kind)) for kind in kinds]
    with ThreadPoolExecutor(DEPLOYS_AT_ONCE) as pool:
        return list(zip(kinds, pool.map(person.deploy, files), strict=True))


def shape(kind: Kind, spec: Json) -> None:
    """One service of its kind, and small enough that all twenty can be awake on two cores."""
    spec["services"] = [
        service for service in spec["services"] if service["name"] == SERVICES.get(kind, "web")
    ]
    spec["scale"] = {"min": 0, "max": MOST, "idleAfter": "2s"}
    (container,) = spec["containers"]
    container["resources"]["limits"] = {"cpu": "60m", "memory": "32Mi"}


def endpoint(kind: Kind, pod: Deployed) -> str:
    """The URL of its only service, without TLS: bytes are counted as they are written."""
    urls = [str(end["url"]) for end in pod.result["endpoints"] if end["service"] == SERVICES.get(kind, "web")]
    (plain,) = [url for url in urls if not url.startswith("https:")]
    return plain


# ---- the bill --------------------------------------------------------------------------------


def check_bills(
    market: LiveLocalnet,
    person: Publisher,
    pods: Sequence[Deployed],
    observer: Observer,
    storm: tuple[Sequence[Request], Sequence[Kill]],
) -> None:
    """All bills together, and each quantity by itself; a killed HAProxy may have kept some traffic."""
    blobs = open_image("oci-archive:echo.tar", person.folder, person.folder).blobs
    stored = max(sum(blob.size for blob in blobs), IDLE_MIB * MIB)
    requests, kills = storm
    rows = []
    for pod in pods:
        bill = person.run("bill", pod.name).json
        assert bill["problems"] == []
        space = json.loads(market.kubectl("get", "namespace", pod.namespace, "-o", "json"))
        seen = Seen(
            tuple(run for run in observer.runs.values() if run.namespace == pod.namespace),
            tuple(request for request in requests if request.pod == pod.name),
            stored,
            unix(space["metadata"]["creationTimestamp"]),
            bill["lines"][-1]["up_to"],
            MOST,
        )
        explain(pod, observer, seen.up_to, Books(market))
        sure = replace(seen, requests=surely_counted(seen.requests, kills))
        rows.append((expected(sure, at_least=True), expected(seen, at_least=False), billed(bill)))
    least, most, theirs = (Usage.total(column) for column in zip(*rows, strict=True))
    sys.stderr.write(f"observed {most}\nbilled   {theirs}\nat least {least}\n")
    channel = Bank(market).channel(pods[0].channel)
    assert channel is not None
    prices = channel.terms.prices
    for name, low, high, told in (
        ("worth", worth(least, prices), worth(most, prices), worth(theirs, prices)),
        *zip(QUANTITIES, least.quantities, most.quantities, theirs.quantities, strict=True),
    ):
        assert low * (1 - NEAR) <= told <= high * (1 + NEAR), name


def explain(pod: Deployed, observer: Observer, up_to: int, books: Books) -> None:
    """For whoever reads the log: replicas of which the observer and the provider's books differ."""
    booked = {uid: (began, ended) for uid, began, ended, _ in books.runs(pod.channel)}
    for uid, run in observer.runs.items():
        if run.namespace == pod.namespace and run.ran and booked.get(uid) != (run.begun, run.ended):
            sys.stderr.write(f"{pod.name} {uid} up to {up_to}: seen {run}, booked {booked.get(uid)}\n")


def around(lost: Request, pods: Sequence[tuple[Kind, Deployed]], observer: Observer) -> None:
    """For whoever reads the log: what the cluster did with the pod of a request that nobody may lose."""
    ended = time() - monotonic() + lost.ended
    (namespace,) = (pod.namespace for _, pod in pods if pod.name == lost.pod)
    sys.stderr.write(f"lost at {ended:.2f}, {datetime.fromtimestamp(ended, UTC):%T.%f}: {lost}\n")
    for uid, run in observer.runs.items():
        if run.namespace == namespace and run.begun is not None and abs(run.begun - ended) < AROUND_S:
            sys.stderr.write(f"  {uid} {run}\n")


def told(market: LiveLocalnet, person: Publisher, pod: Deployed) -> None:
    """For whoever reads the log: what provider and cluster say of a pod that lost a request."""
    sys.stderr.write(f"{pod.name}: {json.dumps(person.run('events', pod.name).json)}\n")
    sys.stderr.write(market.kubectl("get", "events", "-n", pod.namespace, "--sort-by=.lastTimestamp"))


def logged(market: LiveLocalnet, lost: Request) -> None:
    """For whoever reads the log: what the provider's programs wrote around that time, and the last lines."""
    ended = time() - monotonic() + lost.ended
    around = {f"{datetime.fromtimestamp(ended + second, UTC):%F %T}" for second in range(-20, 5)}
    for part in ("provider", "activator", "haproxy"):
        lines = (market.settings.state / "log" / f"k1-{part}.log").read_text().splitlines()
        for line in [line for line in lines if line[:19] in around] or lines[-20:]:
            sys.stderr.write(f"{part}: {line}\n")


def report(seed: int, requests: list[Request], faults: Faults) -> None:
    """For whoever reads the log: how much of everything there was."""
    done = Counter(request.kind for request in requests if not request.error)
    failed = Counter(request.kind for request in requests if request.error)
    killed = Counter(kill.part for kill in faults.kills)
    sys.stderr.write(f"\nseed {seed}\nwhole {dict(done)}\nfailed {dict(failed)}\nkilled {dict(killed)}\n")
    for kill in faults.kills:
        sys.stderr.write(
            f"{kill.at - faults.kills[0].at:7.2f} {kill.part} back after {kill.back - kill.at:.2f} s\n"
        )
    for request in requests:
        if request.error:
            since = request.began - faults.kills[0].at
            sys.stderr.write(
                f"{since:7.2f} {request.ended - request.began:6.2f} {request.kind} {request.error}\n"
            )
