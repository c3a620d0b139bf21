# SPDX-License-Identifier: Apache-2.0
"""Who is let in, changed and taken out, and lost clusters, at two whole daemons."""

import json
from dataclasses import replace

import pytest

from tests.publisher.verbs.networks.test_verbs import stranger
from trustedpods.protocol.errors import BadInput, Refused, TrustedPodsError
from trustedpods.protocol.networks.members import Role, lost_digest
from trustedpods.publisher.networks.states import own_card, read_state
from trustedpods.publisher.output.json_of import json_of
from trustedpods.publisher.verbs.networks.documents import members, versions
from trustedpods.publisher.verbs.networks.documents.changing import read_view
from trustedpods.publisher.verbs.networks.files import card_text


@pytest.fixture
def bob(shop):
    return stranger(shop.team)


@pytest.fixture
def card(bob, tmp_path):
    file = tmp_path / "bob.card"
    file.write_text(card_text(own_card(bob.publisher)) + "\n")
    return file


def founders(shop):
    """The network as others name it."""
    return replace(shop.place, founder=shop.account.publisher.address)


async def let_in(shop, bob, card, role=Role.OPERATOR):
    who = bob.publisher.address
    return await members.add(shop.account, shop.place, who, card, role, 0.0, shop.journal)


async def test_who_is_let_in_reads_and_who_is_taken_out_reads_nothing_new(shop, bob, card):
    place, who = founders(shop), bob.publisher.address
    result = await let_in(shop, bob, card)
    assert dict(result.members) == {shop.account.publisher.address: Role.OWNER, who: Role.OPERATOR}
    assert json.loads(json.dumps(json_of(result)))["members"][who] == "operator"
    _, seen = await read_view(bob, place, shop.journal)
    with pytest.raises(Refused) as caught:
        await members.remove(bob, place, shop.account.publisher.address, 0.0, shop.journal)
    assert caught.value.rule == "role"
    changed = await members.set_role(shop.account, shop.place, who, Role.VIEWER, 0.0, shop.journal)
    assert changed.members[who] is Role.VIEWER
    gone = await members.remove(shop.account, shop.place, who, 0.0, shop.journal)
    assert who not in gone.members
    with pytest.raises(Refused) as caught:
        await read_view(bob, place, shop.journal)
    assert caught.value.rule == "member"
    assert read_state(bob.publisher, shop.name, seen.document).content, "what he read before, he has"
    with pytest.raises(Refused) as caught:
        read_state(bob.publisher, shop.name, gone.document)
    assert caught.value.rule == "role"
    told = [record.verb for chunk in (await shop.view()).content.history for record in chunk]
    assert told[1:] == ["network member add", "network member role", "network member remove"]


async def test_a_backup_of_another_team_is_refused_and_says_so(shop, bob, card, tmp_path):
    """It was taken before all clusters went back to an old copy, and the team was changed otherwise since."""
    old, file = [dict(world.cluster.networks) for world in shop.team.worlds], tmp_path / "backup"
    await let_in(shop, bob, card)
    await versions.backup(shop.account, shop.place, file, shop.journal)
    for world, networks in zip(shop.team.worlds, old, strict=True):
        world.cluster.networks = networks
    assert (await shop.view()).document.generation == 1
    await let_in(shop, bob, card, Role.VIEWER)
    with pytest.raises(Refused) as caught:
        await versions.restore(shop.account, shop.place, file, shop.journal, go_back=True)
    assert caught.value.rule == "members"
    assert "is another one" in caught.value.what


async def test_what_cannot_be(shop, bob, card):
    me, who = shop.account.publisher.address, bob.publisher.address
    with pytest.raises(BadInput, match="himself"):
        await members.remove(shop.account, shop.place, me, 0.0, shop.journal)
    with pytest.raises(BadInput, match="himself"):
        await members.set_role(shop.account, shop.place, me, Role.VIEWER, 0.0, shop.journal)
    with pytest.raises(BadInput, match="himself"):
        await members.add(shop.account, shop.place, me, card, Role.OPERATOR, 0.0, shop.journal)
    with pytest.raises(BadInput):
        await members.add(shop.account, shop.place, me, card, Role.OWNER, 0.0, shop.journal)
    for work in (
        members.remove(shop.account, shop.place, who, 0.0, shop.journal),
        members.set_role(shop.account, shop.place, who, Role.OWNER, 0.0, shop.journal),
    ):
        with pytest.raises(Refused) as caught:
            await work
        assert caught.value.rule == "members"
    assert (await shop.view()).document.generation == 1


def words(view, reason):
    """What an owner signed of each cluster that is lost."""
    gone = [one for one in view.content.clusters if one.lost is not None]
    return {lost_digest(one.name, one.owner, one.daemon, reason) for one in gone}


async def test_a_lost_cluster_is_declared_with_a_reason_and_asked_no_more(shop):
    shop.team.worlds[1].cluster.unreachable = True
    left = shop.with_clusters("k1")
    for cluster, reason in (("k3", "gone"), ("k2", " "), ("k2", "x" * 257)):
        with pytest.raises(BadInput):
            await members.lose(shop.account, left, [cluster], reason, 0.0, shop.journal)
    result = await members.lose(shop.account, left, ["k2"], "its provider is gone", 0.0, shop.journal)
    assert dict(result.lost) == {"k2": "its provider is gone"}
    shop.place = left
    view = await shop.view()
    assert view.roster.lost == words(view, "its provider is gone")
    await shop.phase("stopped")
    with pytest.raises(BadInput, match="lost already"):
        await members.lose(shop.account, left, ["k2"], "again", 0.0, shop.journal)


async def test_two_clusters_that_are_away_at_once_are_declared_lost_at_once(shop):
    """One after the other cannot be: all others must answer."""

    def with_a_third(content):
        third = content.clusters[1].model_copy(update={"name": "k3", "daemon": 77})
        return content.model_copy(update={"clusters": [*content.clusters, third]})

    await shop.write_by_hand(with_a_third)
    left, before = shop.with_clusters("k1"), (await shop.view()).document.generation
    shop.team.worlds[1].cluster.unreachable = True
    with pytest.raises(BadInput, match="no cluster is named"):
        await members.lose(shop.account, left, [], "gone", 0.0, shop.journal)
    with pytest.raises(TrustedPodsError):
        await members.lose(shop.account, left, ["k2"], "gone", 0.0, shop.journal)
    result = await members.lose(shop.account, left, ["k3", "k2", "k3"], "gone", 0.0, shop.journal)
    assert dict(result.lost) == {"k2": "gone", "k3": "gone"}
    shop.place = left
    view = await shop.view()
    assert view.roster.lost == words(view, "gone")
    assert view.document.generation == before + 1
    await shop.phase("stopped")


async def test_a_lost_cluster_may_stay_in_the_context(shop):
    """It is not asked, though it is named, and a later command leaves it out."""
    shop.team.worlds[1].cluster.unreachable = True
    result = await members.lose(shop.account, shop.place, ["k2"], "its provider is gone", 0.0, shop.journal)
    assert dict(result.lost) == {"k2": "its provider is gone"}
    await shop.phase("stopped")
    shop.place = shop.with_clusters("k1")
    assert await shop.phases() == ["stopped"]
