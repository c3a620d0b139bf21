# SPDX-License-Identifier: Apache-2.0
"""A command that names some clusters while a change waits for its end: it ends on all, or on none."""

import contextlib
from dataclasses import dataclass, replace

import pytest

from tests.provider.documents_world import DAEMON, OWNER, DocumentsWorld
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.networks.documents import Commit
from trustedpods.publisher.core.networks.mapping import parse_cluster
from trustedpods.publisher.networks.connections import ClusterDoor
from trustedpods.publisher.networks.recording import recorded
from trustedpods.publisher.verbs.networks import state
from trustedpods.publisher.verbs.networks.connect import connect
from trustedpods.publisher.verbs.networks.documents import members, versions


@dataclass
class NoCommit:
    """A door on which a change is prepared, and comes no further."""

    door: ClusterDoor

    async def ask(self, question):
        if isinstance(question, Commit):
            raise Refused("not now", rule="test")
        return await self.door.ask(question)


async def left_pending(shop, content):
    async with shop.team.clusters() as clusters:
        doors = {name: NoCommit(door) for name, door in clusters.doors.items()}
        with pytest.raises(Refused, match="not now"):
            async with (
                replace(clusters, doors=doors).locked("killed") as held,
                recorded(held, shop.account.publisher, shop.name, "network apply", []) as change,
            ):
                await change.write(content(change))
        copies = await clusters.all_copies()
    assert all(copy.pending for copy in copies.values())
    return copies


async def copies_of(shop):
    async with shop.team.clusters() as clusters:
        return await clusters.all_copies()


COMMANDS = {
    "migrate": lambda shop, some, file: versions.migrate(
        shop.account, some, file.with_name("other"), 0.0, shop.journal
    ),
    "restore": lambda shop, some, file: versions.restore(
        shop.account, some, file, shop.journal, go_back=True
    ),
    "remove": lambda shop, some, _: members.remove(shop.account, some, "0x" + "ab" * 20, 0.0, shop.journal),
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
async def test_a_pending_change_is_ended_on_all_clusters_by_who_names_one(shop, tmp_path, command):
    file, some = tmp_path / "shop.backup", shop.with_clusters("k1")
    await versions.backup(shop.account, shop.place, file, shop.journal)
    await left_pending(shop, lambda change: change.state.read.writable())
    with contextlib.suppress(Refused):  # the stranger who is to be removed is none of the team
        await command(shop, some, file)
    copies = await copies_of(shop)
    assert copies["k1"] == copies["k2"]
    assert copies["k1"].pending is None
    assert copies["k1"].current.generation >= 2


async def test_of_more_clusters_than_the_network_has_its_own_are_taken(shop, tmp_path):
    """A context may have the clusters of many networks."""
    folder = tmp_path / "k3"
    folder.mkdir()
    async with DocumentsWorld(folder, shop.team.account.chain).run() as address:
        _, beside = parse_cluster(f"k3={OWNER}/{DAEMON}@{address}")
        some = replace(shop.place, clusters={**shop.place.clusters, "k3": beside})
        assert (await versions.migrate(shop.account, some, tmp_path / "kept", 0.0, shop.journal)).steps == ()
        with pytest.raises(Refused) as caught:
            await members.remove(shop.account, some, "0x" + "ab" * 20, 0.0, shop.journal)
    assert caught.value.rule == "members"


async def test_a_repair_names_all_clusters_also_while_a_change_is_pending(shop):
    before = await left_pending(shop, lambda change: change.state.read.writable())
    with pytest.raises(Refused) as caught:
        await state.repair(shop.account, shop.with_clusters("k1"), "k1", 0.0, shop.journal)
    assert caught.value.rule == "clusters"
    assert await copies_of(shop) == before
    assert (await state.repair(shop.account, shop.place, "k1", 0.0, shop.journal)).document.generation == 2


async def test_a_first_state_that_is_pending_is_not_ended_on_some_clusters_alone(shop):
    content = (await shop.view()).content.model_copy(update={"history": []})
    await shop.remove()
    before = await left_pending(shop, lambda _: content)
    with pytest.raises(Refused) as caught:
        await connect(shop.account, shop.with_clusters("k1"), 0.0, shop.journal)
    assert caught.value.rule == "clusters"
    assert await copies_of(shop) == before
    assert not (await connect(shop.account, shop.place, 0.0, shop.journal)).begun
