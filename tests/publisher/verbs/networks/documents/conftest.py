# SPDX-License-Identifier: Apache-2.0
"""A network in two clusters with a daemon each, whose founder wrote its first state."""

from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from tests.fakes.network_states import state_of
from tests.publisher.verbs.networks.test_verbs import team
from trustedpods.protocol.codec import encode, unpack
from trustedpods.protocol.ids import address_bytes
from trustedpods.protocol.networks.documents import Copy, Document, Generation
from trustedpods.protocol.networks.members import NetworkName
from trustedpods.protocol.networks.migrations import SCHEMA
from trustedpods.protocol.networks.sealed_documents import seal_body
from trustedpods.provider.networks import stored
from trustedpods.publisher.networks.states import own_card
from trustedpods.publisher.verbs.networks.documents.changing import changing, read_view

__all__ = ["team"]


class Shop:
    """The founder's commands on the network `shop`."""

    def __init__(self, team):
        self.team, self.account, self.place, self.journal = team, team.account, team.place, team.journal
        self.name = NetworkName(self.account.publisher.address, "shop")

    @asynccontextmanager
    async def changing(self, verb="network apply", given=()):
        async with changing(self.account, self.place, verb, list(given), 0.0, self.journal) as (_, change):
            yield change

    async def connect(self):
        state = state_of()
        clusters = [
            one.model_copy(update={"owner": address_bytes(choice.owner), "daemon": choice.daemon})
            for one, choice in zip(state.clusters, self.place.clusters.values(), strict=True)
        ]
        async with changing(
            self.account, self.place, "network connect", [], 0.0, self.journal, founding=True
        ) as (_, change):
            await change.write(state.model_copy(update={"clusters": clusters}), result="done")

    async def phase(self, phase):
        """Let the one component be in that phase."""
        async with self.changing() as change:
            content = change.state.read.writable()
            components = [one.model_copy(update={"phase": phase}) for one in content.components]
            await change.write(content.model_copy(update={"components": components}), result="done")

    async def interrupted(self, given):
        """A command that ends in its middle."""
        async with self.changing(given=given) as change:
            await change.write(change.state.read.writable())
            raise KeyboardInterrupt

    async def view(self):
        return (await read_view(self.account, self.place, self.journal))[1]

    async def phases(self):
        return [one.phase for one in (await self.view()).content.components]

    async def write_as_schema(self, schema, change):
        """Write the next document as a newer version, or the first as an older one: *change* edits it."""
        view = await self.view()
        fields = unpack(encode(view.content))
        change(fields)
        generation = view.document.generation + 1
        if schema < SCHEMA:  # no daemon takes an older one behind a newer
            await self.remove()
            generation = 1
        key = self.account.publisher.key
        sealed = (
            view.body.changes,
            [own_card(self.account.publisher)],
            packed(fields | {"schema_version": schema}),
        )
        epoch = fields["metadata"].get("epoch", 0)
        body = seal_body(key, self.name, generation, schema, *sealed, epoch=epoch)
        async with self.team.clusters() as clusters, clusters.locked("another version") as held:
            await held.write(body)

    async def write_by_hand(self, change):
        """Let a next document stand in all clusters that no daemon was asked to take: *change* makes it."""
        view = await self.view()
        key, generation = self.account.publisher.key, Generation(view.document.generation + 1)
        sealed = (view.body.changes, view.body.cards, encode(change(view.content)))
        body = seal_body(key, self.name, generation, SCHEMA, *sealed, epoch=None)
        for world in self.team.worlds:
            for name, (network, kept) in world.cluster.networks.items():
                state = stored.from_bytes(kept.data, 0)
                data = stored.to_bytes(replace(state, copy=Copy(Document(generation, body))))
                world.cluster.networks[name] = (network, replace(kept, data=data))

    async def remove(self):
        async with self.team.clusters() as clusters, clusters.locked("network delete") as held:
            await held.remove()

    def with_clusters(self, *names):
        """The network as somebody names it who forgot some of its clusters."""
        named = {name: self.place.clusters[name] for name in names}
        return replace(self.place, clusters=named)


def packed(fields):
    import msgpack

    return msgpack.packb({key: fields[key] for key in sorted(fields)}, use_bin_type=True)


@pytest.fixture
async def shop(team):
    made = Shop(team)
    await made.connect()
    return made
