# SPDX-License-Identifier: Apache-2.0
"""Every place that a pod can write to has an end, and what it takes until then is paid for."""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.live.clients.images import with_layer
from tests.live.clients.publisher import Deployed, Json, Publisher
from tests.live.conftest import unique
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.run_times import RunTimes
from tests.live.observers.waiting import until
from trustedpods.provider.termination_logs import KEPT_BYTES

pytestmark = pytest.mark.live

WRITTEN_MIB = 200
EPHEMERAL_MIB = 64
SHM_BYTES = 64 << 20
MOST_QUEUES = 256
"""`fs.mqueue.queues_max`, of each IPC namespace; RLIMIT_MSGQUEUE ends it at about nine."""

_DD = f"dd if=/dev/zero bs=1M count={WRITTEN_MIB}"

EVICTED = {
    "/tmp": f"{_DD} of=/tmp/full",
    "/data": f"{_DD} of=/data/full",  # a VOLUME of the image
    "/small": f"{_DD} of=/small/full",  # an emptyDir with less room than the container
    "/large": f"{_DD} of=/large/full",  # one with more
    "its logs": f"{_DD} | tr '\\0' x > /proc/1/fd/1",
}
"""Where the kubelet ends the replica that writes there."""

ENDED_OTHERWISE = {"/dev/shm", "/dev/termination-log", "/dev/mqueue"}
"""Where writing fails, or what was written goes, and the replica stays."""

WRITABLE = """while read -r _ _ _ _ place options _; do
    case $options in rw*) [ -w "$place" ] && ! [ -c "$place" ] && echo "$place" ;; esac
done < /proc/self/mountinfo
find / -xdev -type d -perm -2"""
"""All mounts that this user may write to, and all folders of its own files; devices keep nothing."""


@dataclass(frozen=True)
class Replicas:
    """The replicas of one pod, and what runs in them."""

    market: LiveLocalnet
    times: RunTimes
    pod: Deployed

    def name(self, uid: str) -> str:
        return str(self.times.last[uid]["metadata"]["name"])

    def run(self, uid: str, script: str) -> list[str]:
        argv = ["-n", self.pod.namespace, "exec", self.name(uid), "-c", "hello", "--", "sh", "-c", script]
        return self.market.kubectl(*argv).split()

    def evicted(self) -> set[str]:
        """Those of which the kubelet says so: what it says in their status is lost when they go."""
        told = ["--field-selector", "reason=Evicted", "-o", "jsonpath={.items[*].involvedObject.uid}"]
        return set(self.market.kubectl("-n", self.pod.namespace, "get", "events", *told).split())

    def whatever(self, uid: str, script: str) -> None:
        """Run what the kubelet may end in the middle."""
        try:
            self.run(uid, f"({script}) 2>&1 | tail -1")
        except AssertionError:
            assert until("the one that it ended", lambda: self.times.over(uid))


def six(spec: Json) -> None:
    """Small replicas of an image with a VOLUME, with room for 64 MiB each."""
    [container] = spec["containers"]
    container["image"] = "oci-archive:volume.tar"
    container["resources"]["limits"] = {
        "cpu": "50m", "memory": "96Mi", "ephemeral-storage": f"{EPHEMERAL_MIB}Mi"
    }  # fmt: skip
    sizes = {"small": "32Mi", "large": "1Gi"}
    spec["volumes"] = [{"name": name, "emptyDir": {"sizeLimit": size}} for name, size in sizes.items()]
    container["volumeMounts"] = [{"name": name, "mountPath": f"/{name}"} for name in sizes]
    spec["scale"] = {"min": len(EVICTED) + 1, "max": len(EVICTED) + 1}


def test_200_mib_into_each_place_are_ended_and_billed(market: LiveLocalnet, publisher: Publisher) -> None:
    with_layer("hello", {"data/": b""}, publisher.folder / "volume.tar", Volumes={"/data": {}})
    with RunTimes(market) as times:
        pod = publisher.deploy(publisher.manifest("hello", unique("greedy"), six))
        here = Replicas(market, times, pod)
        first = until("all run", running(times, pod, len(EVICTED) + 1))
        *greedy, calm = first
        assert {*here.run(calm, WRITABLE)} == (EVICTED.keys() - {"its logs"}) | ENDED_OTHERWISE
        for uid, script in zip(greedy, EVICTED.values(), strict=True):
            here.whatever(uid, script)
        _stays(here, calm)
        until("those that wrote too much are evicted", lambda: all(map(times.over, greedy)))
        assert here.evicted() == set(greedy)
        assert not times.over(calm)
        publisher.run("delete", pod.name)
        publisher.gone(pod.name)
        uids = times.uids(pod.namespace)
        until("all have ended", lambda: all(map(times.over, uids)))
        seconds = times.served_within(len(EVICTED) + 1, uids)
    bill = publisher.run("bill", pod.name).json
    assert bill["problems"] == []
    assert sum(line["cpu_core_ms"] for line in bill["lines"]) == 50 * seconds
    assert sum(line["storage_mib_s"] for line in bill["lines"]) >= EPHEMERAL_MIB * seconds


def running(times: RunTimes, pod: Deployed, wanted: int) -> Callable[[], list[str]]:
    """The replicas, as soon as so many run."""

    def look() -> list[str]:
        found = [uid for uid in times.uids(pod.namespace) if times.last[uid]["status"]["phase"] == "Running"]
        return found if len(found) == wanted else []

    return look


def _stays(here: Replicas, uid: str) -> None:
    """Where writing fails or is undone: /dev/shm, message queues, the termination log."""
    here.run(uid, f"{_DD} of=/dev/shm/full 2>/dev/null || true")
    [held] = here.run(uid, "stat -c %s /dev/shm/full")
    assert int(held) <= SHM_BYTES
    here.run(uid, "rm /dev/shm/full")
    queues = "i=0; while [ $i -lt 400 ] && touch /dev/mqueue/q$i 2>/dev/null; do i=$((i+1)); done; echo $i"
    assert 0 < int(here.run(uid, queues)[0]) <= MOST_QUEUES
    here.run(uid, f"{_DD} of=/dev/termination-log")

    def kept() -> bool:
        return int(here.run(uid, "stat -c %s /dev/termination-log")[0]) <= KEPT_BYTES

    until("the termination log is cut", kept, 30)
    files = here.market.cluster().path("kubelet", "pods", uid, "containers")

    def freed() -> bool:
        taken = subprocess.run(["du", "-sk", files], capture_output=True, text=True, check=True).stdout
        return int(taken.split()[0]) <= 64

    until("the disk has it back: a file is short before all of its blocks are free", freed, 30)
