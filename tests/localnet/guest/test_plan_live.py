# SPDX-License-Identifier: Apache-2.0
"""The guest's units all run, in namespaces instead of a machine, and only three of its ports are reached.

`soak`: it brings up a whole cluster of its own, and control groups by the guest's one name.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.localnet.guest.configurations import one_cluster
from tests.localnet.guest.outside import GUEST
from tests.paths import ROOT
from trustedpods.localnet.cluster import binaries
from trustedpods.localnet.processes.cgroups import Tree

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]

HERE = """
mount -t tmpfs -o mode=0755 run /run
mkdir -m 0700 /run/trustedpods
mkdir -p /var/lib/trustedpods
mount --bind "$1/state" /var/lib/trustedpods
mount --bind "$1/hosts" /etc/hosts
exec "$0" -m tests.localnet.guest.outside "$1"
"""
NAMESPACES = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")


@pytest.fixture(scope="module")
def seen():
    """What stood outside saw, as JSON."""
    binaries.build_containers()  # inside there is no network that modules could come from
    with tempfile.TemporaryDirectory(dir="/var/lib", prefix="trustedpods-guest-") as name:
        folder = Path(name)
        (folder / "state").mkdir()
        (folder / "hosts").write_text("127.0.0.1 localhost guest k1\n")
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        try:
            done = subprocess.run(
                [*NAMESPACES, "sh", "-euc", HERE, sys.executable, name],
                check=False, capture_output=True, text=True, cwd=ROOT, env={**os.environ, "PATH": path},
            )  # fmt: skip
        finally:
            Tree("guest").kill()
            Tree("guest").remove()
        log = folder / "supervisor.log"
        said = log.read_text(errors="replace")[-4000:] if log.exists() else ""
        assert done.returncode == 0, f"{done.stdout}{done.stderr}\n{said}"
        return json.loads(done.stdout.splitlines()[-1])


def test_the_daemon_answers_at_its_port(seen):
    assert seen["hello"] == "/multistream/1.0.0"


def test_the_node_is_ready(seen):
    assert seen["nodes"].split()[:2] == ["k1", "Ready"]


def test_only_the_facade_and_the_daemon_are_reached_from_outside(seen):
    assert set(seen["reached"]) == {f"{GUEST}:80", f"{GUEST}:443", f"{GUEST}:4001"}


def test_api_server_etcd_kubelet_and_registry_listen_on_the_loopback_alone(seen):
    for port in (2379, 2380, 5000, 6443, 10248, 10249, 10250, 10256, 10257, 10259):
        assert [place for place in seen["listening"] if place.endswith(f":{port}")] == [f"127.0.0.1:{port}"]


def test_nothing_listens_at_every_address(seen):
    addresses = {place.rpartition(":")[0] for place in seen["listening"]}
    assert addresses == {"127.0.0.1", GUEST, one_cluster().node_ip}


def test_who_may_do_what_in_the_cluster_is_what_the_file_says(seen):
    """A difference is a door: look at it before `rights.json` takes it over from what is printed here."""
    expected = json.loads((Path(__file__).with_name("rights.json")).read_text())
    assert seen["rights"] == expected, json.dumps(seen["rights"], indent=1)


def test_a_pod_reaches_what_pods_may_call_and_no_part_of_the_cluster(seen):
    assert set(seen["story"]["from a pod"]) == {"own:8080", "127.0.0.1:8080"}


def test_a_pod_that_cannot_do_without_user_ids_of_its_own_is_taken_and_has_them(seen):
    assert seen["story"]["the node's users"] is False


def test_the_operator_asks_from_outside_where_the_row_leads(seen):
    asked = seen["story"]["asked from outside"]
    assert len(asked["pods"]) == 1
    assert (asked["draining"], asked["afterwards"]) == ("new disks", None)


def test_a_pod_is_deployed_from_outside_sleeps_wakes_serves_and_is_billed(seen):
    story = seen["story"]
    assert story["status"] == 200
    assert "Hello from a trusted pod" in story["text"]
    assert story["awake"] == 1
    assert story["billed"] > 0
    assert story["problems"] == []
