# SPDX-License-Identifier: Apache-2.0
"""Backups of all one's nodes: documents at two daemons, one node's pod at a fake provider."""

import json

import pytest

from tests.publisher.backups.volumes import Volumes
from tests.publisher.verbs.networks.test_apply import Team, begun_name
from trustedpods.protocol.errors import BadInput, Refused
from trustedpods.publisher.commands.network_lines import backup_lines
from trustedpods.publisher.core.networks.plan import pod_name
from trustedpods.publisher.output.json_of import json_of
from trustedpods.publisher.verbs.networks.whole.backup import backup_nodes
from trustedpods.publisher.verbs.running.backup import BackupOptions


@pytest.fixture
async def team(bench, daemons):
    return Team(bench, daemons)


def with_volume(bench):
    text = (bench.folder / "pod.yaml").read_text()
    text = text.replace("volumeMounts: [", "volumeMounts: [{name: data, mountPath: /data}, ")
    text = text.replace("  volumes:\n", "  volumes:\n    - {name: data, persistent: {size: 1Gi}}\n")
    (bench.folder / "pod.yaml").write_text(text)


async def backed_up(team, *nodes):
    options = BackupOptions(str(team.bench.folder / "place"), keep=3)
    return await backup_nodes(team.alice, begun_name(team), team.known, nodes, options, team.journal)


async def test_one_node_that_fails_stops_no_other(team, tmp_path):
    await team.connect()
    await team.apply()
    with_volume(team.bench)
    peer = team.bench.peer()
    volumes = Volumes(tmp_path / "running", tmp_path / "filled")
    (volumes.running / "small").write_text("small")
    peer.programs = volumes.programs
    async with peer.serve():
        await team.bench.deploy(pod_name(begun_name(team), "a"))
        done = await backed_up(team)
        assert (done.exit_code, list(done.nodes)) == (6, ["a", "b"])
        assert done.nodes["a"].size > 0
        one, other = json.loads(json.dumps(json_of(done)))["nodes"].values()
        assert (one["name"], other["error"]["exit"]) == (done.nodes["a"].name, 6)
        assert any(done.nodes["a"].name in line for line in backup_lines(done))
        alone = await backed_up(team, "a")
        assert (alone.exit_code, list(alone.nodes)) == (0, ["a"])
        with pytest.raises(BadInput, match="node 'none' is not there"):
            await backed_up(team, "none")


async def test_nodes_without_volumes_are_left_out_unless_they_are_named(team):
    await team.connect()
    await team.apply("  nodes:\n    - {name: a, pod: pod.yaml, cluster: k1}\n")
    async with team.bench.peer().serve():
        await team.bench.deploy(pod_name(begun_name(team), "a"))
        with pytest.raises(Refused, match="no node of yours has a volume"):
            await backed_up(team)
        named = await backed_up(team, "a")
        assert (named.exit_code, named.nodes["a"].rule) == (6, "no-backup")
