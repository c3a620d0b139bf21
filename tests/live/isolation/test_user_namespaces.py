# SPDX-License-Identifier: Apache-2.0
# mypy: disable-error-code="attr-defined"
"""Pods with user ids of their own, by the publisher's command: what they meet, what the node sees of them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.live.admin.test_doctor import doctor
from tests.live.clients import web
from tests.live.clients.publisher import Deployed, Json, Publisher
from tests.live.conftest import unique
from tests.live.isolation.test_processes import FLOOD, TRIED, UNDER_A_LIMIT
from tests.live.localnet_fixture import FAST, LiveLocalnet, localnet
from tests.live.observers.cluster import replicas, until_zero
from tests.live.observers.waiting import until
from trustedpods.localnet.cluster.files import PIDS_PER_POD
from trustedpods.protocol.errors import ExitCode
from trustedpods.provider.admission.isolation_probe import LEAST_INOTIFY_INSTANCES

pytestmark = [pytest.mark.live, pytest.mark.soak]

USER = 61_078
"""Nobody else's on this machine."""

GRACE_S = 60
"""What a command may take to bring money to a pod that ran dry, on a machine that is busy."""

IDS = 65_536
"""Of each pod, as the kubelet gives them."""


@pytest.fixture(scope="module")
def market() -> Iterator[LiveLocalnet]:
    """Of its own: no other has another container runtime than Debian's."""
    knobs = {"user_namespaces": True, "grace_s": GRACE_S}
    with localnet(knobs=FAST.model_copy(update=knobs)) as running:
        yield running


@dataclass(frozen=True)
class Outside:
    """A process of a pod's as the node sees it: who it is, and where its user ids begin."""

    user: int
    first: int
    ids: int


def outside(market: LiveLocalnet, pod: Deployed) -> list[Outside]:
    """All processes of the pod's that run as its user; none while they start."""
    uids = [one["metadata"]["uid"] for one in replicas(market, pod.namespace)]
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            group, mapped = (process / "cgroup").read_text(), (process / "uid_map").read_text()
            user = process.stat().st_uid
        except OSError:  # it ended meanwhile
            continue
        _, first, ids = map(int, mapped.split())
        if any(uid in group for uid in uids) and user == first + USER:
            found.append(Outside(user, first, ids))
    return found


def as_user(spec: Json) -> None:
    """One number for all, and the pod comes only where that is nobody else's outside."""
    spec["hostUsers"] = False
    spec["containers"][0]["securityContext"] = {"runAsUser": USER}


def staying(spec: Json) -> None:
    as_user(spec)
    spec["containers"][0]["resources"]["limits"]["memory"] = "512Mi"
    spec["scale"] = {"min": 1, "max": 1}


def run(market: LiveLocalnet, pod: Deployed, script: str) -> str:
    """What a shell in the pod says, of both its ends."""
    [replica] = [one for one in replicas(market, pod.namespace) if "deletionTimestamp" not in one["metadata"]]
    words = ["-n", pod.namespace, "exec", replica["metadata"]["name"], "-c", "hello", "--", "sh", "-c"]
    return market.kubectl(*words, f"({script}) 2>&1").strip()


def test_a_pod_wakes_from_zero_as_somebody_whom_nobody_else_is(
    market: LiveLocalnet, publisher: Publisher
) -> None:
    [listed] = publisher.run("provider", "list").json["providers"]
    told = publisher.run("provider", "inspect", listed["name"]).json
    assert told["capabilities"]["user_namespaces"] is True
    pod = publisher.deploy(publisher.manifest("hello", unique("own"), as_user))
    until_zero(market, pod.namespace)
    assert web.get(pod.url).status == 200
    seen = until("its processes are there", lambda: outside(market, pod))
    assert {one.ids for one in seen} == {IDS}
    assert min(one.first for one in seen) > IDS, "none of its ids is the node's"


def test_two_pods_of_one_number_are_two_users_outside_and_take_nothing_from_each_other(
    market: LiveLocalnet, publisher: Publisher
) -> None:
    """The same flood, under the same limit, hits a neighbour of the same number where ids are the node's."""
    flooded, neighbour = (
        publisher.deploy(publisher.manifest("hello", unique(name), staying)) for name in ("flood", "calm")
    )
    first, second = ({(one.first, one.user) for one in outside(market, pod)} for pod in (flooded, neighbour))
    assert len(first) == len(second) == 1
    assert not first & second
    assert run(market, flooded, "id -u") == run(market, neighbour, "id -u") == str(USER)
    assert f"{TRIED} started" not in run(market, flooded, f"({FLOOD}) || true")
    assert len(outside(market, flooded)) > PIDS_PER_POD // 2
    assert run(market, neighbour, UNDER_A_LIMIT) == "forked"


def test_nobody_in_a_pod_makes_a_namespace_of_users_or_anything_else(
    market: LiveLocalnet, publisher: Publisher
) -> None:
    pod = publisher.deploy(publisher.manifest("hello", unique("alone"), staying))
    for kind in ("-U", "-n", "-m"):
        said = run(market, pod, f"/bin/busybox unshare {kind} true && echo made || true")
        assert "Operation not permitted" in said
        assert "made" not in said
    status = run(market, pod, "cat /proc/self/status")
    assert re.search(r"^CapEff:\s+0+$", status, re.MULTILINE)
    assert re.search(r"^CapBnd:\s+0+$", status, re.MULTILINE)
    assert re.search(r"^Seccomp:\s+2$", status, re.MULTILINE)


KEPT = "/data/kept"
WRITES = f"set -e; cat /keys/password > {KEPT}; echo x > /scratch/x; id -u >> {KEPT}"


def with_all(spec: Json) -> None:
    """Volumes of each kind that a provider makes, an init container of another number and a sidecar's."""
    staying(spec)
    [container] = spec["containers"]
    container["volumeMounts"] = [
        {"name": "data", "mountPath": "/data"},
        {"name": "keys", "mountPath": "/keys", "readOnly": True},
        {"name": "scratch", "mountPath": "/scratch"},
    ]
    first = {**container, "name": "first", "command": ["sh", "-c", WRITES]}
    first["securityContext"] = {"runAsUser": USER + 1}
    del first["readinessProbe"], first["ports"]
    spec["initContainers"] = [first]
    spec["volumes"] = [
        {"name": "data", "persistent": {"size": "16Mi"}},
        {"name": "keys", "secret": {"files": {"password": "database-password"}}},
        {"name": "scratch", "emptyDir": {"sizeLimit": "1Mi"}},
    ]


def test_volumes_secrets_and_init_containers_are_as_without(
    market: LiveLocalnet, publisher: Publisher
) -> None:
    pod = publisher.deploy(publisher.manifest("hello", unique("disks"), with_all))
    password = (publisher.folder / "database-password").read_text().strip()
    assert run(market, pod, f"cat {KEPT}") == f"{password}{USER + 1}"
    assert run(
        market, pod, f"echo more > /data/more && cat /data/more && echo y > /scratch/y && ls -ln {KEPT}"
    )
    owner = run(market, pod, "ls -ln /data").splitlines()
    assert any(f" {USER} " in line and "more" in line for line in owner)
    publisher.run("restart", pod.name)
    assert run(market, pod, "cat /data/more") == "more", "what one life wrote the next one owns"


def test_the_doctor_shows_it_and_names_what_pods_still_share(market: LiveLocalnet) -> None:
    """This machine's limit of inotify instances decides which of the two it is: no test may change that."""
    instances = int(Path("/proc/sys/fs/inotify/max_user_instances").read_text())
    enough = instances >= LEAST_INOTIFY_INSTANCES
    found = doctor(market, code=0 if enough else ExitCode.NO_CONTEXT)
    said = found["users"]["text"]
    if enough:
        assert said.startswith("each pod has user ids of its own")
    else:
        assert f"pods have user ids of their own, but {instances} inotify instances" in said
