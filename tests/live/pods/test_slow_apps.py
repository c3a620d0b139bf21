# SPDX-License-Identifier: Apache-2.0
"""Apps that start slowly or end late: a deploy tells the truth, and the bill holds for both sides."""

from math import ceil
from time import monotonic

import pytest

from tests.live.clients import web
from tests.live.clients.publisher import Deployed, Json, Publisher
from tests.live.conftest import unique
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.run_times import RunTimes, is_asked
from tests.live.observers.waiting import until
from trustedpods.protocol.errors import ExitCode

pytestmark = [pytest.mark.live, pytest.mark.soak]

PERIOD_S = 5
SLACK_S = 60
"""What a probe allows beyond the app's own need, for a busy machine."""

STARTS = [6, 75, 200]
"""Seconds: a slow start, one beyond any caller's patience, and one beyond the provider's own limit."""

TOO_LONG_S = 600
"""Far beyond the minute that a provider gives a start whose probe asks for less."""

LATE_S = 20
"""From the signal to the end; the kubelet kills after 30."""


def starting(seconds: int) -> str:
    """A script that serves only after so long, and ends at once when it is told to."""
    return f"trap 'kill $!; exit 0' TERM; sleep {seconds} & wait $!; exec /bin/serve"


def holds(person: Publisher, pod: Deployed) -> Json:
    """The audit of whoever pays, with the manifest; it must hold."""
    said = person.run("audit", pod.name, "--manifest", pod.file.name).json
    assert said["holds"] is True
    return said


@pytest.mark.parametrize("needs", STARTS)
def test_an_app_that_starts_slowly_is_deployed(publisher: Publisher, needs: int) -> None:
    def change(spec: Json) -> None:
        [container] = spec["containers"]
        container["command"] = ["/bin/sh", "-c", starting(needs)]
        container["readinessProbe"] |= {
            "periodSeconds": PERIOD_S,
            "failureThreshold": ceil((needs + SLACK_S) / PERIOD_S),
        }
        spec["scale"] = {"min": 1, "max": 1}

    began = monotonic()
    pod = publisher.deploy(publisher.manifest("hello", unique("slow"), change))
    assert monotonic() - began >= needs
    assert web.get(pod.url).status == 200
    assert publisher.run("status", pod.name).json["phase"] == "serving"
    holds(publisher, pod)
    publisher.run("delete", pod.name)
    publisher.gone(pod.name)
    assert publisher.run("bill", pod.name).json["problems"] == []


def test_one_that_needs_longer_than_probe_and_provider_allow_is_told_so(publisher: Publisher) -> None:
    """A probe lengthens what the provider gives every start, and never shortens it."""

    def change(spec: Json) -> None:
        [container] = spec["containers"]
        container["command"] = ["/bin/sh", "-c", starting(TOO_LONG_S)]
        container["readinessProbe"] |= {"periodSeconds": 1, "failureThreshold": 5}

    began = monotonic()
    file = publisher.manifest("hello", unique("short"), change)
    said = publisher.run("deploy", file.name, code=ExitCode.REFUSED).json
    assert monotonic() - began < TOO_LONG_S
    assert "GET / on port 8080: connection refused" in said["error"]["what"]
    assert "times" in said["error"]["what"]
    assert said["money"]["state"] == "released"


def test_an_app_that_ends_late_and_is_woken_meanwhile_costs_no_more_than_one(
    market: LiveLocalnet, publisher: Publisher
) -> None:
    """Two replicas of a pod that may have one, the old one ending while the next serves: paid as one."""

    def change(spec: Json) -> None:
        end_late = f"trap 'kill $!; sleep {LATE_S}; exit 0' TERM; /bin/serve & wait $!"
        spec["containers"][0]["command"] = ["/bin/sh", "-c", end_late]
        spec["scale"] = {"min": 0, "max": 1, "idleAfter": "1s"}

    with RunTimes(market) as times:
        pod = publisher.deploy(publisher.manifest("hello", unique("late"), change))
        [first] = times.seen(pod.namespace)
        until("the first one is asked to end", lambda: is_asked(times.last[first]))
        assert web.get(pod.url).status == 200
        assert not times.over(first), "it ended before the next one served"
        until("the next one is seen", lambda: len(times.uids(pod.namespace)) > 1)
        _, second = times.uids(pod.namespace)
        holds(publisher, pod)
        until("the second one is asked to end", lambda: is_asked(times.last[second]))
        publisher.run("delete", pod.name)
        publisher.gone(pod.name)
        until("both have ended", lambda: times.over(first) and times.over(second))
        apart = sum(map(times.served, (first, second)))
    bill = publisher.run("bill", pod.name).json
    assert bill["problems"] == []
    holds(publisher, pod)
    billed = sum(line["cpu_core_ms"] for line in bill["lines"]) / 100
    assert LATE_S <= billed < apart, "the seconds that both ran are billed once"
