# SPDX-License-Identifier: Apache-2.0
"""`trustedpods-provider doctor` on a node where all is well, and on one where something is not."""

import json
import os
import signal
import subprocess
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from tests.live.clients.daemons import silent
from tests.live.clients.publisher import COMMANDS
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.waiting import until
from trustedpods.localnet.cluster.files import cni_conflist
from trustedpods.localnet.folders import replace_file
from trustedpods.localnet.market.provider import config_file
from trustedpods.localnet.network import enter
from trustedpods.localnet.toml_text import toml_text
from trustedpods.protocol.errors import ExitCode
from trustedpods.provider.cluster.client import open_cluster

pytestmark = pytest.mark.live

AGENT = "k1/netpol"
PARTS = {
    "keys", "tee", "chain", "clock", "gas", "cluster", "registry", "facade", "activator", "daemon", "disk",
    "ports", "names", "certificate", "traffic", "sleep", "ingress", "storage", "csi", "isolation",
    "scratch", "users",
}  # fmt: skip


def doctor(market: LiveLocalnet, code: int, config: Path | None = None) -> dict[str, dict[str, str]]:
    """What it finds, by part; run on the node, as an operator would."""
    words = ["doctor", "-c", str(config or config_file(market.cluster())), "-o", "json"]
    argv = [*enter(market.cluster().namespace), str(COMMANDS / "trustedpods-provider"), *words]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=400, check=False)
    assert done.stdout, done.stderr
    found: dict[str, dict[str, str]] = {finding["part"]: finding for finding in json.loads(done.stdout)}
    assert done.returncode == code, {part: found[part]["text"] for part in missing(found)}
    return found


def missing(found: dict[str, dict[str, str]]) -> set[str]:
    return {part for part, finding in found.items() if finding["state"] != "ok"}


def probes_left(market: LiveLocalnet) -> list[str]:
    """Probe namespaces that nobody is removing, and images of probes."""
    listed = market.kubectl("get", "namespaces", "-l", "trustedpods.dev/probe", "-o", "json")
    names = [
        item["metadata"]["name"]
        for item in json.loads(listed)["items"]
        if "deletionTimestamp" not in item["metadata"]
    ]
    folder = market.cluster().path("registry", "docker/registry/v2/repositories/trustedpods-doctor")
    return names + [str(link) for link in folder.glob("_manifests/revisions/sha256/*/link")]


@contextmanager
def stopped_agent(market: LiveLocalnet) -> Iterator[None]:
    """The policy agent hangs while the block runs; then another one takes its place."""
    os.kill(market.pid(AGENT), signal.SIGSTOP)
    try:
        yield
    finally:
        _restart(market, AGENT)


@contextmanager
def default_volumes(market: LiveLocalnet) -> Iterator[None]:
    """While the block runs containerd makes a folder of its own of an image's VOLUME."""
    file = market.cluster().path("containerd.toml")
    ours = file.read_text()
    try:
        replace_file(file, ours.replace("ignore_image_defined_volumes = true", "").encode())
        assert file.read_text() != ours
        _restart(market, "k1/containerd")
        yield
    finally:
        replace_file(file, ours.encode())
        _restart(market, "k1/containerd")


def _restart(market: LiveLocalnet, name: str) -> None:
    before = market.pid(name)
    os.kill(before, signal.SIGKILL)

    def another() -> bool:
        part = market.parts()[name]
        return part["state"] == "ready" and part["pid"] != before

    until(f"the supervisor started {name} again", another)


def test_all_parts_are_in_place_and_nothing_is_left(market: LiveLocalnet) -> None:
    found = doctor(market, ExitCode.DONE)
    assert found.keys() >= PARTS
    assert missing(found) == set()
    assert "apart as soon as a policy said so" in found["isolation"]["text"]
    assert "were ended" in found["scratch"]["text"]
    assert "no user namespaces: " in found["users"]["text"]  # containerd 1.6 has none
    assert probes_left(market) == []


def test_places_that_nobody_bounds_are_named(market: LiveLocalnet) -> None:
    """As on a cluster with containerd's own settings, whose operator did not start the unit."""
    with default_volumes(market), silent(market, "k1/termination-logs"):
        found = doctor(market, ExitCode.NO_CONTEXT)
    assert missing(found) == {"scratch"}
    assert "into an image's VOLUME and /dev/termination-log (" in found["scratch"]["text"]
    assert probes_left(market) == []


def test_what_a_killed_doctor_leaves_is_cleared_away(market: LiveLocalnet) -> None:
    words = ["doctor", "-c", str(config_file(market.cluster()))]
    argv = [*enter(market.cluster().namespace), str(COMMANDS / "trustedpods-provider"), *words]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL) as process:
        until("its namespace is there", lambda: probes_left(market))
        process.kill()
    trio.run(_sweep, market)
    assert [left for left in probes_left(market) if not left.startswith("/")] == []


async def _sweep(market: LiveLocalnet) -> None:
    """What the daemon does now and then, with no regard to how old things are."""
    async with open_cluster(market.cluster().path("pki", "provider.conf")) as cluster:
        await cluster.sweep_probes(older_than_s=-10)


def test_an_agent_that_hangs_is_named(market: LiveLocalnet) -> None:
    before = probes_left(market)  # a killed doctor's image stays until the next one pushes its own
    with stopped_agent(market):
        found = doctor(market, ExitCode.NO_CONTEXT)
    assert missing(found) == {"traffic", "sleep", "isolation", "scratch", "users"}
    assert "the network agent does not answer" in found["isolation"]["text"]
    assert probes_left(market) == before


def test_what_is_offered_and_not_there_is_named(market: LiveLocalnet, tmp_path: Path) -> None:
    """A class of volumes and a driver that nobody installed."""
    settings = tomllib.loads(config_file(market.cluster()).read_text())
    settings["cluster"] |= {
        "storage_classes": {"fast": ["ReadWriteOnce"]},
        "csi_drivers": ["csi.example.org"],
    }
    config = tmp_path / "provider.toml"
    config.write_text(toml_text(settings))
    found = doctor(market, ExitCode.NO_CONTEXT, config)
    assert missing(found) == {"storage", "csi"}
    assert "no StorageClass fast" in found["storage"]["text"]
    assert "csi.example.org is not on k1" in found["csi"]["text"]


def test_a_network_that_ignores_policies_is_found_out(market: LiveLocalnet, tmp_path: Path) -> None:
    """As on a cluster whose CNI only connects: the API server takes policies and nobody reads them."""
    cluster = market.cluster()
    settings = tomllib.loads(config_file(cluster).read_text())
    del settings["cluster"]["traffic_socket"]
    config = tmp_path / "provider.toml"
    config.write_text(toml_text(settings))
    ours = json.loads(cni_conflist(cluster))
    conflist = cluster.path("cni", "10-pods.conflist")
    with stopped_agent(market):
        try:
            replace_file(conflist, json.dumps({**ours, "plugins": ours["plugins"][:1]}).encode())
            market.on_node("nft", "delete", "table", "ip", "trustedpods-netpol")
            found = doctor(market, ExitCode.NO_CONTEXT, config)
        finally:
            replace_file(conflist, json.dumps(ours, indent=1).encode())
    assert "daemon" not in missing(found)
    assert "isolation" in missing(found)
    assert "ignores NetworkPolicies (ingress and egress)" in found["isolation"]["text"]
    assert probes_left(market) == []
