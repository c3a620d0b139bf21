# SPDX-License-Identifier: Apache-2.0
"""The doctor looks at every part, whatever the one before told, and says what is missing."""

import json
import socket
from contextlib import asynccontextmanager
from dataclasses import FrozenInstanceError
from types import SimpleNamespace

import pytest
import trio
from click.testing import CliRunner

from tests.fakes.cluster import FakeCluster
from tests.provider.test_config import GOOD
from trustedpods.contracts.eip712 import address_of
from trustedpods.protocol.errors import ExitCode, NoContext
from trustedpods.protocol.units import Resources
from trustedpods.provider.admin import doctor, probes
from trustedpods.provider.admin.doctor import Finding, examine
from trustedpods.provider.admin.socket import serve_admin, verb_for
from trustedpods.provider.admin.views import PodList, PodsRequest, StoreRequest, StoreView
from trustedpods.provider.cli import main
from trustedpods.provider.cluster.isolation_proof.probe_pods import ProbePlace
from trustedpods.provider.cluster.isolation_proof.proof import Proof
from trustedpods.provider.config import load_config
from trustedpods.provider.core.disk import DiskState

PARTS = [
    "keys",
    "tee",
    "chain",
    "clock",
    "gas",
    "cluster",
    "registry",
    "facade",
    "activator",
    "daemon",
    "publishers",
    "store",
    "disk",
    "ports",
    "names",
    "certificate",
    "traffic",
    "sleep",
    "ingress",
    "storage",
    "csi",
    "isolation",
    "scratch",
    "users",
]
KEY = b"\5" * 32


@pytest.fixture
def path(tmp_path):
    """The configuration of a machine on which nothing runs yet."""
    text = GOOD.replace("/var/lib/tp", str(tmp_path)).replace("/run/f", str(tmp_path / "facade"))
    text = text.replace("/k/", f"{tmp_path}/keys/").replace("10.0.0.1:8545", "127.0.0.1:1")
    text = text.replace("[facade]\n", '[facade]\nbinds = ["127.0.0.1:1"]\n')
    text = text.replace("/ip4/10.0.0.2/tcp/4001", "/ip4/127.0.0.1/tcp/1").replace("example.org", "localhost")
    text = text.replace("[cluster]\n", '[cluster]\nregistry = "127.0.0.1:1"\n')
    file = tmp_path / "provider.toml"
    file.write_text(text)
    return file


@pytest.fixture
def key_file(tmp_path):
    file = tmp_path / "keys" / "operator"
    file.parent.mkdir()
    file.write_text(KEY.hex())
    file.chmod(0o600)
    return file


async def found(path):
    return {finding.part: finding for finding in await examine(load_config(path))}


async def test_where_nothing_runs_every_part_is_told(path):
    findings = await examine(load_config(path))
    assert [finding.part for finding in findings] == PARTS
    states = {finding.part: finding.state for finding in findings}
    assert {part for part in PARTS if states[part] == "ok"} == {
        "tee",
        "disk",
        "names",
        "publishers",
        "traffic",
        "sleep",
        "ingress",
        "csi",
        "certificate",
    }
    texts = {finding.part: finding.text for finding in findings}
    assert "cannot be read" in texts["keys"]
    assert texts["tee"] == "none"
    assert "start trustedpods-activator" in texts["activator"]
    assert "is `trustedpods-provider serve` running?" in texts["daemon"]


async def test_a_key_that_others_can_read_is_told_with_what_helps(path, key_file):
    assert (await found(path))["keys"] == Finding("keys", "ok", f"operator {address_of(KEY)}")
    key_file.chmod(0o644)
    keys = (await found(path))["keys"]
    assert keys.state == "missing"
    assert keys.text.endswith("(chmod 600)")
    assert KEY.hex() not in keys.text


async def test_a_change_of_keys_that_is_half_done_is_told(path, key_file):
    key_file.with_name("operator.next").touch()
    keys = (await found(path))["keys"]
    assert keys.state == "missing"
    assert "a new key is made and not in use yet" in keys.text
    key_file.with_name("operator.next").rename(key_file.with_name("operator.former"))
    keys = (await found(path))["keys"]
    assert "the key before it is not done with yet (trustedpods-provider operator-key" in keys.text


async def test_a_daemon_that_answers_is_ok(path, nursery):
    async def pods(request):
        assert not request.all
        return PodList(pods=[])

    await nursery.start(serve_admin, load_config(path).admin_socket, {"pods": verb_for(PodsRequest, pods)})
    assert (await found(path))["daemon"] == Finding("daemon", "ok", "serves 0 pods")


async def test_a_socket_counts_for_the_activator_only_while_somebody_listens(path):
    config = load_config(path)
    slots = config.facade.activator_dir
    (slot := path.parent / "facade" / "slots" / "1").parent.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(slot))
        with pytest.raises(NoContext):
            await probes.activator(config)
        listener.listen()
        assert await probes.activator(config) == str(slots)
    assert slot.exists()
    with pytest.raises(NoContext):
        await probes.activator(config)


async def test_tcp_by_the_kernel_is_told_while_its_agent_listens(path):
    config, at = load_config(path), path.parent / "ways.sock"
    assert await probes.kernel_tcp(config) == ""
    facade = config.facade.model_copy(update={"tcp": "kernel", "ways_socket": str(at)})
    config = config.model_copy(update={"facade": facade})
    with pytest.raises(NoContext, match=r"ways\.sock"):
        await probes.kernel_tcp(config)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(at))
        listener.listen()
        assert "the kernel carries tcp" in await probes.kernel_tcp(config)
    limited = config.model_copy(update={"egress": config.egress.model_copy(update={"pod_mbit": 8})})
    assert "[egress]" in await probes.kernel_tcp(limited)


NODES = ["k1", "k1n2", "k1n3"]


class ThreeNodes(FakeCluster):
    """All take pods; on `bad` pods are not apart, and `public` has an address that pods may call."""

    def __init__(self):
        super().__init__()
        self.bad, self.public, self.places = "k1n2", "", []

    async def capacity(self):
        nodes = dict.fromkeys(reversed(NODES), Resources(0, 0, 0))
        return SimpleNamespace(nodes=nodes, free=Resources(0, 0, 0))

    async def node_addresses(self, node):
        return ["192.0.2.1"] if node == self.public else []

    async def prove(self, place):
        self.places.append(place)
        with trio.fail_after(5):
            while len(self.places) < len(NODES):  # side by side: one that hangs does not hold up the others
                await trio.sleep(0.01)
        return Proof(True, True, place.node != self.bad, True)


@pytest.fixture
def cluster(monkeypatch):
    made = ThreeNodes()

    @asynccontextmanager
    async def opened(_kubeconfig):
        yield made

    @asynccontextmanager
    async def probe_places(_config):
        yield lambda node: ProbePlace("image", f"probes-{node}", node)

    monkeypatch.setattr(probes, "open_cluster", opened)
    monkeypatch.setattr(probes, "probe_places", probe_places)
    return made


async def test_what_live_pods_show_is_told_of_each_node_by_name(path, cluster):
    findings = await found(path)
    for part in ("isolation", "scratch", "users"):
        assert [name for name in findings if name.startswith(part)] == [f"{part} {node}" for node in NODES]
    assert sorted(place.node for place in cluster.places) == NODES
    assert {node: findings[f"isolation {node}"].state for node in NODES} == {
        "k1": "ok",
        "k1n2": "missing",
        "k1n3": "ok",
    }
    assert "ignores NetworkPolicies (ingress)" in findings["isolation k1n2"].text


async def test_a_node_that_pods_could_call_is_named(path, cluster):
    cluster.public, cluster.bad = "k1n3", ""
    findings = await found(path)
    assert [findings[f"isolation {node}"].state for node in NODES] == ["ok", "ok", "missing"]
    assert "could call the node at 192.0.2.1" in findings["isolation k1n3"].text


async def test_a_cluster_without_a_node_for_pods_is_said(path, cluster, monkeypatch):
    async def nothing():
        return SimpleNamespace(nodes={}, free=Resources(0, 0, 0))

    monkeypatch.setattr(cluster, "capacity", nothing)
    assert "no node is ready for pods" in (await found(path))["isolation"].text


async def test_what_is_no_error_of_ours_is_not_hidden(path, monkeypatch):
    async def broken(_config):
        raise RuntimeError("a bug")

    monkeypatch.setattr(doctor, "_keys", broken)
    with pytest.raises(RuntimeError):
        await examine(load_config(path))


async def test_where_the_disk_is_bad_the_database_is_told_without_its_passwords_file(path, nursery):
    url = "postgresql://u@db.example.org/books"
    path.write_text(
        path.read_text().replace("[store]\n", f'[store]\ndatabase = "{url}?passfile=/k/secret"\n')
    )
    config = load_config(path)

    async def full(_request):
        return StoreView(state=DiskState.LOW, free_mib=1, failure=None)

    await nursery.start(serve_admin, config.admin_socket, {"store": verb_for(StoreRequest, full)})
    store = (await found(path))["store"]
    assert store.state == "missing"
    assert url in store.text
    assert "secret" not in store.text


def test_a_finding_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        Finding("keys", "ok", "").state = "missing"


@pytest.mark.parametrize(("state", "code"), [("ok", ExitCode.DONE), ("missing", ExitCode.NO_CONTEXT)])
def test_the_command_prints_findings_and_fails_if_one_is_missing(path, monkeypatch, state, code):
    async def told(_config):
        return [Finding("keys", "ok", "operator 0x1"), Finding("chain", state, "block 7")]

    monkeypatch.setattr(doctor, "examine", told)
    as_json = CliRunner().invoke(main, ["doctor", "-c", str(path), "-o", "json"])
    assert as_json.exit_code == code
    assert json.loads(as_json.stdout) == [
        {"part": "keys", "state": "ok", "text": "operator 0x1"},
        {"part": "chain", "state": state, "text": "block 7"},
    ]
    as_table = CliRunner().invoke(main, ["doctor", "-c", str(path)])
    assert as_table.exit_code == code
    assert [line.split()[:2] for line in as_table.stdout.splitlines()] == [
        ["part", "state"],
        ["keys", "ok"],
        ["chain", state],
    ]
