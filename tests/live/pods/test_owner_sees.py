# SPDX-License-Identifier: Apache-2.0
"""What the owner of a pod is told when it crashes at a wake-up, sleeps, or gets a version that is broken."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event

import httpx
import pytest

from tests.live.clients import web
from tests.live.clients.publisher import Deployed, Json, Publisher, Said
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


def crashes(spec: Json) -> None:
    spec["containers"][0]["command"] = ["sh", "-c", "echo version two is broken; exit 7"]


def says(greeting: str) -> Callable[[Json], None]:
    def change(spec: Json) -> None:
        spec["containers"][0]["env"] = [{"name": "GREETING", "value": greeting}]

    return change


VISITORS = 4
PAUSE_S = 0.15
"""Some twenty requests a second altogether, each on a connection of its own."""


@contextmanager
def steady_requests(url: str) -> Iterator["Counter[int | str]"]:
    """Asks all the time; what was answered, by status, or by the kind of what went wrong."""
    answers, over = Counter[int | str](), Event()

    def visit() -> None:
        while not over.wait(PAUSE_S):
            try:
                answers[web.get(url, limit_s=60).status] += 1
            except httpx.HTTPError as error:
                answers[type(error).__name__] += 1

    with ThreadPoolExecutor(VISITORS) as pool:
        visitors = [pool.submit(visit) for _ in range(VISITORS)]
        try:
            yield answers
        finally:
            over.set()
    for visitor in visitors:
        visitor.result()


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


def test_no_request_fails_over_a_good_and_a_broken_update(publisher: Publisher) -> None:
    pod = publisher.deploy(publisher.manifest("hello", unique("update"), says("one")))
    with steady_requests(pod.url) as answers:
        updated = publisher.run("deploy", publisher.manifest("hello", pod.name, says("two")).name).json
        assert "two" in web.get(pod.url, "/cgi-bin/whoami").text
        asked = answers.total()
        broken = publisher.manifest("hello", pod.name, crashes)
        said = publisher.run("deploy", broken.name, code=ExitCode.REFUSED)
        assert answers.total() > asked > 0
    assert set(answers) == {200}, answers
    assert updated["namespace"] != pod.namespace
    assert "two" in web.get(pod.url, "/cgi-bin/whoami").text
    check_the_end_of_a_broken_update(publisher, pod, said)


def check_the_end_of_a_broken_update(publisher: Publisher, pod: Deployed, said: Said) -> None:
    """It says what serves, offers nothing that would end it, and leaves its logs."""
    assert said.json["error"]["hint"] == "version 2 still serves; nothing was changed"
    assert (said.json["money"]["state"], said.json["serves"]["version"]) == ("open", 2)
    assert "trustedpods close" not in said.err
    [*_, last] = publisher.run("logs", pod.name, "--previous").json["logs"]
    assert "version two is broken" in last["text"]
