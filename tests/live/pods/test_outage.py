# SPDX-License-Identifier: Apache-2.0
# mypy: disable-error-code="attr-defined"
"""The chain or the API server says nothing for a while: nothing is ended for it, nothing billed for it."""

import os
import signal
from time import monotonic, sleep

import pytest

from tests.live.clients import web
from tests.live.clients.daemons import silent
from tests.live.clients.publisher import Deployed, Json, Publisher
from tests.live.conftest import unique
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.books import Books
from tests.live.observers.cluster import replicas, until_zero
from tests.live.observers.money import Bank
from tests.live.observers.run_times import RunTimes
from tests.live.observers.waiting import until

pytestmark = [pytest.mark.live, pytest.mark.timeout(1200)]

LONG = pytest.param(600, id="10min", marks=pytest.mark.soak)
MOST_LOST_BLOCKS = 10
"""One is mined and one state written each second; a busy machine is late with copying the state."""

SHORT_FUNDS_S = 40
"""Of the pod whose money ends while nobody can read the chain: not before, on however slow a machine."""


def always_one(spec: Json) -> None:
    spec["scale"] = {"min": 1, "max": 1}


@pytest.mark.parametrize("length", [pytest.param(90, id="90s"), LONG])
def test_a_chain_that_says_nothing(market: LiveLocalnet, publisher: Publisher, length: int) -> None:
    """Pods run on to their last known runway, nothing is closed, and claims catch up."""
    bank = Bank(market)
    lasting = publisher.deploy(publisher.manifest("hello", unique("lasting"), always_one))
    before = bank.channel(lasting.channel)
    [first] = [one["metadata"]["uid"] for one in replicas(market, lasting.namespace)]
    poor = publisher.manifest("hello", unique("poor"), always_one)
    ending = publisher.deploy(poor, "--deposit", f"{SHORT_FUNDS_S}s")
    began = monotonic()
    with silent(market, "chain"):
        stopped = monotonic()
        until_zero(market, ending.namespace)  # what was known of its money is used up
        assert monotonic() - began > SHORT_FUNDS_S / 3
        while monotonic() < stopped + length:
            assert web.get(lasting.url).status == 200
            sleep(1)
        assert ending.namespace in market.kubectl("get", "namespaces", "-o", "name")
    [now] = [one["metadata"]["uid"] for one in replicas(market, lasting.namespace)]
    assert now == first
    assert before is not None

    def caught_up() -> bool:
        after = bank.channel(lasting.channel)
        return after is not None and after.up_to >= before.up_to + length and after.left < before.left

    until("claims have caught up", caught_up)
    assert publisher.run("bill", lasting.name).json["problems"] == []
    assert publisher.run("status", lasting.name).json["phase"] == "serving"
    # a dry pod is settled and removed after its grace, now that the chain answers
    until("the dry pod was settled", lambda: bank.events(ending.channel).closed)
    publisher.gone(ending.name)


def test_a_chain_that_is_killed(market: LiveLocalnet, publisher: Publisher) -> None:
    """It comes back with the blocks of seconds ago, also if it was writing its state: a short reorganisation.

    Everything is paid once.
    """
    pod = publisher.deploy(publisher.manifest("hello", unique("reorg"), always_one))
    bank = Bank(market)
    begun = until("it was claimed", lambda: bank.channel(pod.channel))
    for written in (1, 0.5, 0):
        pid = market.pid("chain")
        head = bank.head()
        os.kill(pid, signal.SIGSTOP)
        file = market.state / "chain.json"
        os.truncate(file, int(file.stat().st_size * written))
        os.kill(pid, signal.SIGKILL)

        def another(dead: int = pid) -> bool:
            found = market.parts()["chain"]
            return found["state"] == "ready" and found["pid"] not in (None, dead)

        until("the chain is back", another)
        assert bank.head() >= head - MOST_LOST_BLOCKS
        sleep(3)

    def goes_on() -> bool:
        now = bank.channel(pod.channel)
        return now is not None and now.up_to > begun.up_to + 8

    until("claims go on", goes_on)
    said = publisher.run("audit", pod.name, "--manifest", pod.file.name).json
    assert said["holds"] is True


def core_ms(person: Publisher, pod: Deployed) -> int:
    """All CPU that a pod is billed for, claimed or not."""
    bill = person.run("bill", pod.name).json
    return int(sum(line["cpu_core_ms"] for line in bill["lines"]) + bill["open_usage"]["cpu_core_ms"])


@pytest.mark.parametrize("length", [pytest.param(15, id="15s"), LONG])
def test_an_api_server_that_says_nothing(market: LiveLocalnet, publisher: Publisher, length: int) -> None:
    """What sleeps costs nothing, what runs goes on and costs what it ran."""
    sleeping = publisher.deploy(publisher.manifest("hello", unique("sleeping")))
    until_zero(market, sleeping.namespace)
    books = Books(market)
    until("its end is in the books", lambda: all(run[2] for run in books.runs(sleeping.channel)))
    before = core_ms(publisher, sleeping)
    with RunTimes(market) as times:
        running = publisher.deploy(publisher.manifest("hello", unique("running"), always_one))
        with silent(market, "k1/apiserver"):
            stopped = monotonic()
            while monotonic() < stopped + length:
                assert web.get(running.url).status == 200
                sleep(1)
        publisher.run("delete", running.name)
        publisher.gone(running.name)
        [uid] = times.seen(running.namespace)
        until("it has ended", lambda: times.over(uid))
        seconds = times.served(uid)
    assert seconds >= length
    billed = publisher.run("bill", running.name).json
    assert billed["problems"] == []
    assert sum(line["cpu_core_ms"] for line in billed["lines"]) == 100 * seconds
    assert core_ms(publisher, sleeping) == before > 0, "what slept was billed for the outage"
