# SPDX-License-Identifier: Apache-2.0
"""`network render`: each node's manifest with nobody asked, its objects from its own provider."""

import json
from typing import Any

import pytest
import yaml

from tests.publisher.test_cli import cli
from tests.publisher.verbs.networks.test_apply import NODES, Team
from trustedpods.protocol.errors import BadInput, ExitCode
from trustedpods.publisher.commands.network.files import rendered_lines
from trustedpods.publisher.core.networks.plan import pod_name
from trustedpods.publisher.output.json_of import json_of
from trustedpods.publisher.verbs.networks.rendering import render_manifests, render_objects

__all__ = ["cli"]

TWO = """\
  templates:
    node:
      spec:
        containers:
          - name: node
            image: oci-archive:hello.tar
            args: ["${self.name}", "${values.mode}"]
            ports: [{containerPort: 8080}]
        services: [{name: p2p, expose: nodePort, ports: [{port: 8080}]}]
        scale: {min: 1, max: 1}
        network: {nodes: [node]}
  nodes:
    - {name: node, template: node, replicas: 2, cluster: k1, values: {mode: light}}
"""


@pytest.fixture
async def team(bench, daemons):
    return Team(bench, daemons)


async def test_objects_are_those_of_each_nodes_own_provider(team):
    pod = team.bench.folder / "pod.yaml"
    pod.write_text(f"{pod.read_text()}  trust: open\n")
    await team.connect()
    file = team.file(NODES)
    made = await render_objects(team.alice, file, team.known, (), team.journal)
    assert {one.node: one.provider.name for one in made.nodes} == {
        node: named.partition("=")[2] for node, named in zip("ab", team.named, strict=True)
    }
    for one in made.nodes:
        assert one.pod == pod_name(file.network, one.node)
        kinds = [item["kind"] for item in one.objects]
        assert (kinds[0], "Deployment" in kinds) == ("Namespace", True)
    assert all(world.cluster.lives == {} for world in team.worlds), "nothing is kept"
    (only,) = (await render_objects(team.alice, file, team.known, ("b",), team.journal)).nodes
    assert [one["kind"] for one in only.objects] == [one["kind"] for one in made.nodes[1].objects]
    shown = json.loads(json.dumps(json_of(made)))["nodes"]["a"]
    assert shown["provider"] == made.nodes[0].provider.name
    assert len(shown["objects"]) == len(made.nodes[0].objects)
    assert [one["kind"] for one in yaml.safe_load_all("\n".join(rendered_lines(made)))].count("Pod") == 2


def test_a_template_with_its_values_is_a_manifest_of_each_node(bench):
    team = Team(bench, [])
    file = team.file(TWO)
    made = render_manifests(file, ())
    assert [one.node for one in made.nodes] == ["node-1", "node-2"]
    for one, other in zip(made.nodes, ("node-2", "node-1"), strict=True):
        shown: Any = one.manifest
        spec = shown["spec"]
        assert spec["containers"][0]["args"] == [one.node, "light"]
        assert spec["network"] == {"nodes": [other]}
        assert shown["metadata"]["name"] == one.pod == pod_name(file.network, one.node)
    with pytest.raises(BadInput, match="no node 'nodd'"):
        render_manifests(file, ("nodd",))


async def test_the_command_needs_no_market_and_no_key_for_manifests(cli, bench, monkeypatch):
    Team(bench, []).file(TWO)
    path = bench.folder / "network.yaml"
    monkeypatch.setenv("TRUSTEDPODS_KEY", str(bench.folder / "absent"))
    monkeypatch.setenv("TRUSTEDPODS_MARKET", str(bench.folder / "absent"))
    done = await cli("network", "render", path, "node-1")
    assert done.exit_code == 0, done.output
    (shown,) = yaml.safe_load_all(done.stdout)
    assert (shown["kind"], shown["spec"]["network"]) == ("Pod", {"nodes": ["node-2"]})
    said = json.loads((await cli("network", "render", path, "-o", "json")).stdout)
    assert list(said["nodes"]) == ["node-1", "node-2"]
    assert (await cli("network", "render", path, "--objects")).exit_code == ExitCode.NO_CONTEXT
