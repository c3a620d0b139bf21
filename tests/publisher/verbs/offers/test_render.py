# SPDX-License-Identifier: Apache-2.0
"""`render`: the provider's objects, asked for without a key and a payment; no file leaves this machine."""

import json

import yaml

from tests.publisher.test_cli import cli
from trustedpods.protocol.errors import ExitCode

__all__ = ["cli"]


async def test_it_needs_no_key_and_pays_nothing(cli, bench, monkeypatch):
    monkeypatch.setenv("TRUSTEDPODS_KEY", str(bench.folder / "absent"))
    async with bench.peer().serve() as peer:
        done = await cli("render", bench.folder / "pod.yaml")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(f"# pod hello at {peer.owner}/0; values of secrets are not shown\n---\n")
    assert "made up" in done.stderr
    (made,) = yaml.safe_load_all(done.stdout)
    assert made["kind"] == "Namespace"
    assert peer.log == ["attest", "render"]
    assert bench.chain.lives == {}
    password = (bench.folder / "password.txt").read_bytes()
    assert password not in peer.rendered.manifest


async def test_with_the_key_the_pod_is_the_one_that_a_deploy_makes(cli, bench):
    async with bench.peer().serve() as peer:
        said = json.loads((await cli("render", bench.folder / "pod.yaml", "-o", "json")).stdout)
        result = await bench.deploy()
    (made,) = said["objects"]
    assert made["metadata"]["name"] == f"tp-{result.chosen.channel:x}"
    assert (said["pod"], said["provider"]) == ("hello", f"{peer.owner}/0")


async def test_a_provider_that_cannot_is_passed_over_with_the_reason(cli, bench):
    path = bench.folder / "pod.yaml"
    path.write_text(path.read_text() + "  nodeSelector: {zone: b}\n")
    able = bench.peer(cpu_price=9000)
    able.capabilities = able.capabilities.model_copy(update={"node_labels": {"zone": ["b"]}})
    async with bench.peer(cpu_price=1).serve() as lacking, able.serve():
        done = await cli("render", path, "-o", "json")
        assert json.loads(done.stdout)["provider"] == f"{able.owner}/0"
        assert f"not {lacking.owner}/0: no node with zone=b" in done.stderr
        refused = await cli("render", path, "--provider", lacking.owner)
        assert refused.exit_code == ExitCode.REFUSED
        assert "no node with zone=b; advertised: zone=a" in refused.stderr
    assert "render" not in lacking.log


async def test_nonsense_is_no_list_of_objects(cli, bench):
    async with bench.peer("renders-nonsense").serve():
        done = await cli("render", bench.folder / "pod.yaml")
    assert "the provider sent no list of objects" in done.stderr
    assert done.exit_code != 0
