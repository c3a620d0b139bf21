# SPDX-License-Identifier: Apache-2.0
# mypy: disable-error-code="attr-defined"
"""Who starts processes or threads without end takes nothing from a neighbour of the same user id."""

import os
import re
from contextlib import suppress
from pathlib import Path

import pytest

from tests.live.clients import web
from tests.live.clients.publisher import Deployed, Json, Publisher
from tests.live.conftest import unique
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.run_times import RunTimes
from tests.live.observers.waiting import until
from trustedpods.localnet.cluster.files import PIDS_PER_POD
from trustedpods.protocol.errors import ExitCode

pytestmark = pytest.mark.live

TRIED = 4000
FLOOD = f"""i=0
while [ $i -lt {TRIED} ]; do
  sleep 300 >/dev/null 2>&1 &
  i=$((i+1))
done
echo $i started"""
"""Its processes outlive the command that started them: they are there while the neighbour is asked."""

UNDER_A_LIMIT = (
    f"(ulimit -u {PIDS_PER_POD // 2}; sleep 0 & wait $! && echo forked) 2>/dev/null || echo refused"
)


def test_a_flood_of_processes_ends_at_the_pods_own_bound(market: LiveLocalnet, publisher: Publisher) -> None:
    def change(spec: Json) -> None:
        spec["containers"][0]["resources"]["limits"]["memory"] = "512Mi"
        spec["scale"] = {"min": 1, "max": 1}

    with RunTimes(market) as times:
        flooded, neighbour = (
            publisher.deploy(publisher.manifest("hello", unique(name), change)) for name in ("flood", "calm")
        )

        def run(pod: Deployed, script: str) -> str:
            [uid] = times.seen(pod.namespace)
            name = times.last[uid]["metadata"]["name"]
            return market.kubectl("-n", pod.namespace, "exec", name, "-c", "hello", "--", "sh", "-c", script)

        assert run(flooded, "id -u") == run(neighbour, "id -u")
        assert run(neighbour, UNDER_A_LIMIT).strip() == "forked"
        told = run(flooded, f"({FLOOD}) 2>&1 || true; set -- /proc/[0-9]*; echo $#")
        assert f"{TRIED} started" not in told
        assert PIDS_PER_POD // 2 < int(told.split()[-1]) <= PIDS_PER_POD
        assert run(neighbour, "sleep 0 & wait $! && echo forked").strip() == "forked"
        # the kernel does count both together: any limit that is handed down would be shared
        assert run(neighbour, UNDER_A_LIMIT).strip() == "refused"


def test_who_cannot_do_without_user_ids_of_its_own_is_refused_before_it_pays(publisher: Publisher) -> None:
    def change(spec: Json) -> None:
        spec["hostUsers"] = False

    before = publisher.run("balance").json["channels"]
    wanting = publisher.manifest("hello", unique("wanting"), change)
    refused = publisher.run("deploy", wanting.name, code=ExitCode.REFUSED)
    assert refused.json["error"]["rule"] == "capability"
    why = "no pod has user ids of its own (hostUsers: false)"
    assert why in refused.err
    [unfit] = publisher.run("provider", "list", "--for", wanting.name).json["providers"]
    assert unfit["unfit"] == why
    assert len(publisher.run("balance").json["channels"]) == len(before), "nothing was paid"


USER = 61_077
"""Nobody else's on this machine."""

HELD = 900
"""Threads that a pod may have beside its own few, and two pods together only where each has its own bound."""

NO_THREAD = re.compile(r"failed to create new OS thread \(have (\d+) already; errno=11\)")
"""How Go's runtime ends when the kernel gives it none (EAGAIN)."""


def tasks_of(user: int) -> int:
    """Processes and threads that the kernel has of a user id."""
    found = 0
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):  # it ended meanwhile
            if process.stat().st_uid == user:
                found += len(os.listdir(process / "task"))
    return found


def threaded(spec: Json) -> None:
    """One replica of the echo server that stays, as the one user."""
    [container] = spec["containers"]
    container["resources"]["limits"]["memory"] = "512Mi"
    container["securityContext"] = {"runAsUser": USER}
    spec["services"] = [service for service in spec["services"] if service["name"] == "web"]
    spec["scale"] = {"min": 1, "max": 1}


def test_4000_threads_end_their_own_pod_and_the_neighbour_goes_on(
    market: LiveLocalnet, publisher: Publisher
) -> None:
    flooded, neighbour = (
        publisher.deploy(publisher.manifest("echo", unique(name), threaded)) for name in ("flood", "calm")
    )
    for pod in (flooded, neighbour):
        assert web.get(pod.url, f"/threads/{HELD}").text == str(HELD)
    assert tasks_of(USER) > PIDS_PER_POD, "both pods count for one user id in the kernel"

    assert web.get(flooded.url, f"/threads/{TRIED}").status in (502, 503)
    about = ["-n", flooded.namespace, "get", "pods", "-o", "jsonpath={.items[0].metadata.name}"]
    name = market.kubectl(*about)
    logs = ["-n", flooded.namespace, "logs", name, "-c", "echo", "--previous"]

    def ended() -> int:
        with suppress(AssertionError):  # kubectl, before there is a run before
            found = NO_THREAD.search(market.kubectl(*logs))
            return int(found[1]) if found else 0
        return 0

    assert HELD < until("the flood ended its server", ended) <= PIDS_PER_POD
    assert web.get(neighbour.url).status == 200
    assert web.get(neighbour.url, "/threads/20").text == "20"
    assert tasks_of(USER) > HELD, "the neighbour's threads are still there"
