# SPDX-License-Identifier: Apache-2.0
# mypy: disable-error-code="attr-defined"
"""What is billed is what the API server's own times say, to the second, whatever happens meanwhile."""

import os
import signal
from pathlib import Path
from time import monotonic, sleep

import pytest

from tests.live.clients import daemons, web
from tests.live.clients.images import with_layer
from tests.live.clients.publisher import Deployed, Json, Publisher
from tests.live.conftest import unique
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.books import Books
from tests.live.observers.cluster import until_zero
from tests.live.observers.run_times import RunTimes, statuses
from tests.live.observers.waiting import until
from trustedpods.publisher.core.cost import shape_of
from trustedpods.publisher.pod import read_pod

pytestmark = pytest.mark.live

LENGTHS = [pytest.param(20, id="20s"), pytest.param(60, id="60s", marks=pytest.mark.soak)]
ASLEEP_S = 8
ZEROS_MIB = 100
STOPWATCH_S = 2
"""How far an outside stopwatch may be off: both times are whole seconds, and are told a moment later."""


def usage(person: Publisher, pod: Deployed) -> Json:
    """All quantities of a pod's bill, summed up; the bill must hold."""
    bill = person.run("bill", pod.name).json
    assert bill["problems"] == []
    names = ("cpu_core_ms", "memory_mib_s", "storage_mib_s")
    return {name: sum(line[name] for line in bill["lines"]) for name in names}


def end(person: Publisher, pod: Deployed) -> None:
    """Delete the pod: everything is settled then."""
    person.run("delete", pod.name)
    person.gone(pod.name)


@pytest.mark.parametrize("length", LENGTHS)
def test_core_seconds_are_those_of_the_api_server(
    market: LiveLocalnet, publisher: Publisher, length: int
) -> None:
    """One replica ends while the daemon is down and another takes its place; the daemon is killed."""

    def always_one(spec: Json) -> None:
        spec["scale"] = {"min": 1, "max": 1}

    with RunTimes(market) as times:
        pod = publisher.deploy(publisher.manifest("hello", unique("metered"), always_one))
        began = monotonic()
        [first] = times.seen(pod.namespace)
        sleep(max(0.0, length / 2 - (monotonic() - began)))
        daemon = market.pid(daemons.part())
        os.kill(daemon, signal.SIGSTOP)  # a daemon that is down, and stays so until it is killed
        try:
            name = times.last[first]["metadata"]["name"]
            market.kubectl("-n", pod.namespace, "delete", "pod", name, "--wait=false")
            until("the replica has ended", lambda: times.over(first))
        finally:
            os.kill(daemon, signal.SIGKILL)
        daemons.until_back(market, daemon)
        until("another replica serves", lambda: web.get(pod.url).status == 200)
        sleep(max(0.0, length - (monotonic() - began)))
        end(publisher, pod)
        uids = times.uids(pod.namespace)
        until("all have ended", lambda: all(map(times.over, uids)))
        assert len(uids) >= 2
        seconds = times.served_within(1, uids)
        for uid in uids:
            assert abs(times.served(uid) - times.stopwatch(uid)) <= STOPWATCH_S
    used = usage(publisher, pod)
    assert used["cpu_core_ms"] == 100 * seconds
    assert used["memory_mib_s"] == 32 * seconds
    assert len(Books(market).runs(pod.channel)) == len(uids)


def test_a_volume_costs_its_size_while_nothing_runs(
    market: LiveLocalnet, publisher: Publisher, tmp_path: Path
) -> None:
    def asleep(spec: Json) -> None:
        spec["scale"] = {"min": 0, "max": 1, "idleAfter": "1s"}

    file = publisher.manifest("web", unique("stored"), asleep)
    pod_read = read_pod(file, tmp_path)
    shape = shape_of(pod_read.manifest, pod_read.image_bytes)
    held = shape.storage_mib
    with RunTimes(market) as times:
        before = monotonic()
        pod = publisher.deploy(file)
        deployed = monotonic()
        until_zero(market, pod.namespace)
        given = market.kubectl(
            "-n", pod.namespace, "get", "pvc", "-o", "jsonpath={..status.capacity.storage}"
        )
        sleep(ASLEEP_S)
        leaving = monotonic()
        end(publisher, pod)
        gone = monotonic()
        awake = times.served_within(1, times.uids(pod.namespace))
    used = usage(publisher, pod)
    stored, rest = divmod(used["storage_mib_s"] - shape.scratch_mib * awake, held)
    assert (given, held > 64, rest) == ("64Mi", True, 0)
    assert leaving - deployed - 1 <= stored <= gone - before + 1
    assert stored >= awake + ASLEEP_S
    assert used["cpu_core_ms"] == 200 * awake


def test_init_containers_crashes_and_pauses_count(market: LiveLocalnet, publisher: Publisher) -> None:
    """It runs an init container, serves, is killed for its memory twice, and waits in a crash loop."""
    serve_and_die = """trap 'exec dd if=/dev/zero of=/dev/null bs=256M count=1' USR1
        /bin/serve &
        while :; do sleep 1; done"""

    def change(spec: Json) -> None:
        [container] = spec["containers"]
        container["command"] = ["/bin/sh", "-c", serve_and_die]
        small = {"limits": {"cpu": "50m", "memory": "16Mi", "ephemeral-storage": "16Mi"}}
        first = {"name": "first", "image": container["image"], "resources": small}
        spec["initContainers"] = [first | {"command": ["/bin/sh", "-c", "sleep 3"]}]
        spec["scale"] = {"min": 1, "max": 1}

    with RunTimes(market) as times:
        pod = publisher.deploy(publisher.manifest("hello", unique("crashing"), change))
        [uid] = times.seen(pod.namespace)

        name = times.last[uid]["metadata"]["name"]

        def state(crashes: int) -> set[str]:
            """Whether it runs or waits, once it was killed so often."""
            *_, status = statuses(times.last[uid])
            killed = status.get("lastState", {}).get("terminated", {}).get("reason") == "OOMKilled"
            return set(status["state"]) if killed and status["restartCount"] >= crashes else set()

        def die() -> None:
            market.kubectl("-n", pod.namespace, "exec", name, "-c", "hello", "--", "sh", "-c", "kill -USR1 1")

        die()
        until("it runs again", lambda: "running" in state(1))
        die()
        until("killed twice, it waits", lambda: "waiting" in state(1))
        end(publisher, pod)
        until("it has ended", lambda: times.over(uid))
        first, _ = statuses(times.last[uid])
        seconds = times.served(uid)
    assert first["state"]["terminated"]["reason"] == "Completed"
    assert seconds > 3
    used = usage(publisher, pod)
    assert (used["cpu_core_ms"], used["memory_mib_s"]) == (100 * seconds, 32 * seconds)


def test_an_evicted_replica_is_billed_to_its_end_and_its_object_goes(
    market: LiveLocalnet, publisher: Publisher
) -> None:
    """It writes more than its own limit, so the kubelet ends it, and another one takes its place."""

    def change(spec: Json) -> None:
        spec["containers"][0]["resources"]["limits"]["ephemeral-storage"] = "16Mi"
        spec["scale"] = {"min": 1, "max": 1}

    with RunTimes(market) as times:
        pod = publisher.deploy(publisher.manifest("hello", unique("evicted"), change))
        [first] = times.seen(pod.namespace)
        name = times.last[first]["metadata"]["name"]
        fill = ["--", "dd", "if=/dev/zero", "of=/tmp/full", "bs=1M", "count=40"]
        market.kubectl("-n", pod.namespace, "exec", name, "-c", "hello", *fill)
        until("it is evicted", lambda: times.over(first))
        listed = ["-n", pod.namespace, "get", "pods", "-o", "jsonpath={.items[*].metadata.uid}"]
        until("its object is gone", lambda: first not in market.kubectl(*listed).split())

        def another_runs() -> bool:
            others = set(times.seen(pod.namespace)) - {first}
            return any("running" in one["state"] for uid in others for one in statuses(times.last[uid]))

        until("another one runs", another_runs)
        told = publisher.run("status", pod.name).json
        end(publisher, pod)
        until("all have ended", lambda: all(times.over(uid) for uid in times.seen(pod.namespace)))
        served = {uid: times.served(uid) for uid in times.seen(pod.namespace)}
    billed = {uid: ended - started for uid, started, ended, _ in Books(market).runs(pod.channel)}
    assert {uid: n for uid, n in billed.items() if n} == {uid: n for uid, n in served.items() if n}
    assert billed[first] > 0
    [why] = [event["text"] for event in told["pod_events"] if event["reason"] == "replica-ended"]
    assert "Evicted" in why
    assert usage(publisher, pod)["cpu_core_ms"] == 100 * times.served_within(1, list(served))


@pytest.mark.soak
def test_an_image_that_unpacks_a_thousandfold_is_billed_by_what_it_takes(
    market: LiveLocalnet, publisher: Publisher, tmp_path: Path
) -> None:
    """Some hundred kilobytes on the way, 100 MiB on the node: admitted and billed as that."""
    archive = publisher.folder / "bomb.tar"
    with_layer("hello", {"zeros": bytes(ZEROS_MIB << 20)}, archive, packed=True)
    assert archive.stat().st_size < 2 << 20

    def change(spec: Json) -> None:
        spec["containers"][0]["image"] = "oci-archive:bomb.tar"
        spec["scale"] = {"min": 1, "max": 1}

    file = publisher.manifest("hello", unique("bomb"), change)
    pod_read = read_pod(file, tmp_path)
    shape = shape_of(pod_read.manifest, pod_read.image_bytes)
    assert ZEROS_MIB <= shape.storage_mib <= ZEROS_MIB + 8
    with RunTimes(market) as times:
        pod = publisher.deploy(file)
        end(publisher, pod)
        awake = times.served_within(1, times.uids(pod.namespace))
    held, rest = divmod(usage(publisher, pod)["storage_mib_s"] - shape.scratch_mib * awake, shape.storage_mib)
    assert rest == 0
    assert held >= awake
