# SPDX-License-Identifier: Apache-2.0
"""A network over a cluster with a market and one without: two real daemons, over fakes of their clusters."""

from dataclasses import replace

import pytest

from tests.fakes.provider.caller import ADMIN_SOCKET
from tests.fakes.provider.world import World
from tests.provider.documents_world import DAEMON, OWNER, DocumentsWorld
from tests.publisher.verbs.networks.test_apply import Team, begun_name
from trustedpods.protocol.errors import BadInput, NetworkFailure, Refused, TrustedPodsError
from trustedpods.protocol.net import open_host
from trustedpods.protocol.net.addresses import peer_name
from trustedpods.provider.admin.registration import row_of
from trustedpods.provider.admin.socket import ask_daemon
from trustedpods.provider.admin.views import DaemonIdentity, IdentityRequest
from trustedpods.provider.keys.boot import BootKeys
from trustedpods.publisher.core.networks.mapping import parse_clusters
from trustedpods.publisher.verbs.networks import places, state
from trustedpods.publisher.verbs.networks.delete import delete
from trustedpods.publisher.verbs.networks.documents.history import history

FREE = "  nodes:\n    - {name: a, pod: pod.yaml, replicas: 3, placement: {strategy: spread}}\n"
AT_K2 = "  nodes:\n    - {name: a, pod: pod.yaml, cluster: k2}\n"


class MixedTeam(Team):
    """Alice with k1, which has a market, and k2, which has none."""

    def __init__(self, bench, first, second, address):
        super().__init__(bench, [first])
        self.worlds.append(second)
        self.named.append(f"k2={OWNER}/{DAEMON}@{address}")
        self.known = parse_clusters(self.named)
        self.place = places.parse_place(f"{self.alice.publisher.address}/shop", self.named)


@pytest.fixture
async def team(bench, tmp_path):
    folders = [tmp_path / name for name in ("k1", "k2")]
    for folder in folders:
        folder.mkdir()
    first = World(folders[0], chain=bench.chain)
    second = DocumentsWorld(folders[1], bench.chain)
    async with first.run() as (parts, _), second.run() as address:
        identity = await ask_daemon(first.tmp_path / ADMIN_SOCKET, IdentityRequest(), DaemonIdentity)
        row = row_of(parts.doors.config, identity)
        bench.chain.rows[row.owner, row.daemon] = row
        yield MixedTeam(bench, first, second, address)


async def test_documents_are_in_both_and_nodes_in_the_one_that_sells(team):
    assert (await team.connect()).begun
    applied = await team.apply(FREE)
    assert {step.cluster for step in applied.plan.nodes} == {"k1"}
    assert set(team.pods[team.alice.publisher.address].running.values()) == {"k1"}
    copies = await state.compare_copies(team.alice, team.place, team.journal)
    assert {name: copy.current.generation for name, copy in copies.clusters.items()} == dict.fromkeys(
        ("k1", "k2"), applied.generation
    )
    again = await team.apply(FREE, known={"k2": team.known["k2"]})
    assert again.plan.changes == 0, "the other cluster is found by the document of this one"
    script = "\n".join((await history(team.alice, team.place, team.journal)).script)
    assert str(team.known["k2"]) in script, "on empty clusters it is found again"
    gone = await delete(
        team.alice,
        begun_name(team),
        team.known,
        0.0,
        team.journal,
        lambda _: team.pods[team.alice.publisher.address],
    )
    assert (gone.found, [world.cluster.networks for world in team.worlds]) == (True, [{}, {}])


async def test_a_node_that_is_placed_in_it_is_refused_before_anything_is_written(team):
    begun = await team.connect()
    with pytest.raises(BadInput, match="cluster k2 takes no pods") as caught:
        await team.apply(AT_K2)
    assert caught.value.where == "node a"
    with pytest.raises(BadInput, match="cluster k2 takes no pods"):
        await team.plan(AT_K2)
    copies = await state.compare_copies(team.alice, team.place, team.journal)
    assert {copy.current.generation for copy in copies.clusters.values()} == {begun.generation}


async def test_a_change_needs_it_like_any_other_cluster(team):
    await team.connect()
    team.worlds[1].cluster.unreachable = True
    with pytest.raises(NetworkFailure):
        await team.apply(FREE)
    team.worlds[1].cluster.unreachable = False
    assert (await team.apply(FREE)).plan.changes == 3


async def test_who_does_not_say_where_it_is_is_told_how(team):
    await team.connect()
    with pytest.raises(Refused) as caught:
        await team.plan(FREE, known={"k1": team.known["k1"]})
    assert (caught.value.rule, caught.value.where) == ("unknown-provider", "cluster k2")
    assert "OWNER/N@MULTIADDR" in caught.value.hint


async def test_another_daemon_at_its_place_is_not_believed(team):
    """Another peer fails at the handshake, the right peer under another number by its profile."""
    await team.connect()
    k2 = team.known["k2"]
    async with open_host(BootKeys.generate().libp2p_seed, []) as other:
        stranger = replace(k2, address=k2.address.rpartition("/")[0] + "/" + peer_name(other.peer_id))
    renamed = replace(k2, daemon=DAEMON + 1)
    for choice, rule in ((stranger, "peer-id"), (renamed, "profile-owner")):
        place = replace(team.place, clusters={**team.known, "k2": choice})
        with pytest.raises(TrustedPodsError) as caught:
            await state.compare_copies(team.alice, place, team.journal)
        assert caught.value.rule == rule
