# SPDX-License-Identifier: Apache-2.0
"""A command that names too few clusters, while a change waits for its end: no copy is touched."""

from dataclasses import dataclass, replace

import pytest

from trustedpods.protocol.errors import Refused
from trustedpods.protocol.networks.documents import Commit
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
    "restore": lambda shop, some, file: versions.restore(shop.account, some, file, shop.journal),
    "remove": lambda shop, some, _: members.remove(shop.account, some, "0x" + "ab" * 20, 0.0, shop.journal),
    "lose": lambda shop, some, _: members.lose(shop.account, some, "k1", "a lake", 0.0, shop.journal),
    "repair": lambda shop, some, _: state.repair(shop.account, some, "k1", 0.0, shop.journal),
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
async def test_a_pending_change_is_not_ended_on_some_clusters_alone(shop, tmp_path, command):
    file, some = tmp_path / "shop.backup", shop.with_clusters("k1")
    await versions.backup(shop.account, shop.place, file, shop.journal)
    before = await left_pending(shop, lambda change: change.state.read.writable())
    with pytest.raises(Refused) as caught:
        await command(shop, some, file)
    assert caught.value.rule == "clusters"
    assert await copies_of(shop) == before
    assert (await state.repair(shop.account, shop.place, "k1", 0.0, shop.journal)).document.generation == 2


async def test_a_first_state_that_is_pending_is_not_ended_on_some_clusters_alone(shop):
    content = (await shop.view()).content.model_copy(update={"history": []})
    clusters = [
        one.model_copy(update={"owner": bytes.fromhex(choice.owner[2:]), "daemon": choice.daemon})
        for one, choice in zip(content.clusters, shop.place.clusters.values(), strict=True)
    ]
    await shop.remove()
    before = await left_pending(shop, lambda _: content.model_copy(update={"clusters": clusters}))
    with pytest.raises(Refused) as caught:
        await connect(shop.account, shop.with_clusters("k1"), 0.0, shop.journal)
    assert caught.value.rule == "clusters"
    assert await copies_of(shop) == before
    assert not (await connect(shop.account, shop.place, 0.0, shop.journal)).begun
