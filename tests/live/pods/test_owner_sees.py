# SPDX-License-Identifier: Apache-2.0
"""What the owner of a pod is told when it crashes at a wake-up, sleeps, or gets a version that is broken."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic, sleep

import pytest

from tests.live.clients import web
from tests.live.clients.publisher import Deployed, Json, Publisher, Said
from tests.live.clients.steady import steady_requests
from tests.live.conftest import unique
from tests.live.observers.waiting import until
from trustedpods.protocol.errors import ExitCode

pytestmark = pytest.mark.live

ONCE = (
    "[ -e /data/once ] && { echo cannot open the books; exit 4; }; echo first start; touch /data/once; exec "
)
"""Before the image's own command: it starts once, and never again."""


def starts_once(spec: Json) -> None:
    container = spec["containers"][0]
    container["command"] = ["sh", "-c", ONCE + "/bin/serve"]
    container["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    spec["volumes"] = [{"name": "data", "persistent": {"size": "16Mi"}}]
    spec["scale"] = {"min": 0, "max": 1, "idleAfter": "2s"}


def starts_again(spec: Json) -> None:
    starts_once(spec)
    spec["containers"][0]["command"] = ["sh", "-c", "[ -e /data/once ] && exec /bin/serve"]


def crashes(spec: Json) -> None:
    spec["containers"][0]["command"] = ["sh", "-c", "echo version two is broken; exit 7"]


def says(greeting: str) -> Callable[[Json], None]:
    def change(spec: Json) -> None:
        spec["containers"][0]["env"] = [{"name": "GREETING", "value": greeting}]

    return change


def both(first: Callable[[Json], None], second: Callable[[Json], None]) -> Callable[[Json], None]:
    def change(spec: Json) -> None:
        first(spec)
        second(spec)

    return change


def sleeping(spec: Json) -> None:
    """As the example is: a pod of http, which goes to zero."""


def of_two_replicas(spec: Json) -> None:
    spec |= {"workload": "replicated", "replicas": 2}
    del spec["scale"]


UPDATES = [
    pytest.param(sleeping, 12, 50, id="12s"),
    pytest.param(sleeping, 60, 100, id="60s", marks=pytest.mark.soak),
    pytest.param(of_two_replicas, 60, 100, id="replicated", marks=pytest.mark.soak),
]
"""Seconds, and requests a second, each on a connection of its own. Beside two other markets on two cores a
client of 100 falls behind its own pace, which would say nothing of the pod."""


RESTART_PACE = 10
"""Requests a second while a pod is started anew: the update's longer run has the pace of the acceptance."""


@contextmanager
def no_request_fails(url: str, seconds: int, pace: int) -> Iterator[None]:
    """While the block runs and for as many *seconds* at least, every request gets its answer."""
    with steady_requests(url, pace) as answers:
        until("requests are answered", lambda: answers.by_kind[200] > pace)
        yield
        sleep(max(0.0, seconds - (monotonic() - answers.began)))
    print(answers)  # noqa: T201 - the figures of the acceptance
    assert answers.failed == 0, answers
    assert answers.pace > 0.9 * pace, answers


def asleep(publisher: Publisher, name: str) -> bool:
    return bool(publisher.run("status", name).json["replicas"] == 0)


def test_a_pod_that_crashes_at_a_wake_up(publisher: Publisher) -> None:
    pod = publisher.deploy(publisher.manifest("hello", unique("once"), starts_once))
    until("it sleeps", lambda: asleep(publisher, pod.name))
    [lines] = publisher.run("logs", pod.name).json["logs"]
    assert "first start" in lines["text"]
    assert lines["ended_at"]
    assert web.get(pod.url).status == 503
    status = publisher.run("status", pod.name).json
    failure = status["failure"]
    assert status["phase"] == "failing"
    assert (failure["container"], failure["exit_code"]) == ("hello", 4)
    assert "cannot open the books" in failure["lines"]
    assert failure["next_try_at"] >= failure["ended_at"] > 0
    assert "start-failed" in [event["reason"] for event in status["pod_events"]]
    runs = [lines["text"] for lines in publisher.run("logs", pod.name, "--previous").json["logs"]]
    assert "first start" in runs[0]
    assert "cannot open the books" in runs[-1]
    check_an_update_that_stops_first(publisher, pod)


def check_an_update_that_stops_first(publisher: Publisher, pod: Deployed) -> None:
    """Of a pod with a volume, `validate` and `deploy` say so before the stop; the volume stays."""
    file = publisher.manifest("hello", pod.name, starts_again)
    assert publisher.run("validate", file.name).json["update"] == "stops-first"
    updated = publisher.run("deploy", file.name).json
    said = [event["event"] for event in updated["events"]]
    assert said.index("stops-first") < said.index("provider:drain")
    assert (updated["update"], updated["namespace"]) == ("stops-first", pod.namespace)
    assert web.get(pod.url).status == 200


@pytest.mark.parametrize(("kind", "length", "pace"), UPDATES)
def test_no_request_fails_over_a_good_and_a_broken_update(
    publisher: Publisher, kind: Callable[[Json], None], length: int, pace: int
) -> None:
    pod = publisher.deploy(publisher.manifest("hello", unique("update"), both(kind, says("one"))))
    file = publisher.manifest("hello", pod.name, both(kind, says("two"))).name
    would = publisher.run("deploy", file, "--dry-run", code=ExitCode.PLAN_HAS_CHANGES).json
    assert (would["effect"], would["known"]) == ("in place", True)
    assert [change["what"] for change in would["changes"]] == ["variable GREETING of hello: changes"]
    with no_request_fails(pod.url, length, pace):
        updated = publisher.run("deploy", file).json
        assert "two" in web.get(pod.url, "/cgi-bin/whoami").text
    assert (updated["update"], updated["namespace"] != pod.namespace) == ("beside", True)
    check_a_rollback(publisher, pod, length, pace)
    with no_request_fails(pod.url, length, pace):
        broken = publisher.manifest("hello", pod.name, both(kind, crashes))
        said = publisher.run("deploy", broken.name, code=ExitCode.REFUSED)
    assert "two" in web.get(pod.url, "/cgi-bin/whoami").text
    check_the_end_of_a_broken_update(publisher, pod, said)


def check_a_rollback(publisher: Publisher, pod: Deployed, length: int, pace: int) -> None:
    """There and back again: no request fails, and nothing is sent, as the provider has the images."""
    with no_request_fails(pod.url, length, pace):
        back = publisher.run("rollback", pod.name).json
        assert "one" in web.get(pod.url, "/cgi-bin/whoami").text
    assert (back["update"], back["sent"]["sent_bytes"]) == ("beside", 0)
    kept = publisher.run("rollback", pod.name, "--list").json["versions"]
    assert [one["serves"] for one in kept] == [True, False]
    publisher.run("rollback", pod.name, str(kept[1]["generation"]))
    assert "two" in web.get(pod.url, "/cgi-bin/whoami").text


def check_the_end_of_a_broken_update(publisher: Publisher, pod: Deployed, said: Said) -> None:
    """It says what serves, offers nothing that would end it, and leaves its logs."""
    assert said.json["error"]["hint"] == "version 4 still serves; nothing was changed"
    assert (said.json["money"]["state"], said.json["serves"]["version"]) == ("open", 4)
    assert "trustedpods close" not in said.err
    [*_, last] = publisher.run("logs", pod.name, "--previous").json["logs"]
    assert "version two is broken" in last["text"]


def test_no_request_fails_over_a_restart(publisher: Publisher) -> None:
    """Another replica of the same version, proven beside the one that runs; nothing is sent."""
    pod = publisher.deploy(publisher.manifest("hello", unique("restart"), says("same")))
    with no_request_fails(pod.url, 1, RESTART_PACE):
        planned = publisher.run("restart", pod.name, "--dry-run", code=ExitCode.PLAN_HAS_CHANGES).json
        done = publisher.run("restart", pod.name).json
        assert "same" in web.get(pod.url, "/cgi-bin/whoami").text
        (held,) = publisher.run("top", pod.name).json["pods"]
    assert held["cpu_milli"] > 0
    assert planned["replicas"] >= 1
    assert planned["update"] == "beside"
    assert (done["update"], done["images"]) == ("beside", pod.result["images"])
    assert done["namespace"] != pod.namespace
