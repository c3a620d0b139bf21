# SPDX-License-Identifier: Apache-2.0
"""Two daemons' networks over API servers in memory, and clients at them: all of the product but the wire."""

import secrets
from collections.abc import Callable

import trio

from tests.fakes.cluster_networks import FakeNetworks
from tests.fakes.network_documents import AT, Author
from trustedpods.protocol.errors import NetworkFailure, TrustedPodsError
from trustedpods.protocol.ids import address_from_bytes
from trustedpods.protocol.networks import wire
from trustedpods.protocol.networks.documents import Copy
from trustedpods.protocol.networks.members import Role, network_salt
from trustedpods.protocol.sealing.signatures import address_of
from trustedpods.protocol.sealing.subjects import NetworkRef
from trustedpods.provider.networks import stored
from trustedpods.provider.networks.networks import Networks
from trustedpods.publisher.networks.clusters import NetworkClusters
from trustedpods.publisher.networks.connections import QUESTION_LIMIT_S

NAME = "shop"
NAMES = ("k1", "k2")
OWNER = address_from_bytes(b"\x0c" * 20)


class Daemon:
    """What `Networks` needs of a daemon, and its `Networks`."""

    def __init__(self):
        self.cluster = FakeNetworks()
        self.networks = Networks(self)

    def clock(self):
        return float(AT)

    def now(self):
        return AT

    @property
    def kept(self):
        """What the API server has, as a daemon that starts now reads it."""
        (data,) = [document.data for _, document in self.cluster.networks.values()]
        return stored.from_bytes(data, 0)


class Door:
    """One client's way to one daemon. `on_its_way` is called with each question; then it is asked, and then
    `answered` is. A door that is `dead` lets nothing through any more."""

    def __init__(self, daemon, founder, who):
        self.daemon, self.who = daemon, who
        self.ref = NetworkRef(OWNER, founder, network_salt(NAME))
        self.on_its_way: Callable = lambda _: None
        self.answered: Callable = lambda _: None
        self.dead = False

    async def ask(self, question):
        with trio.move_on_after(QUESTION_LIMIT_S):
            self.on_its_way(question)
            await self._while_alive()
            body = wire.body_of(question, NAME)
            answer = await self.daemon.networks.answer(self.ref, body, self.who)
            self.answered(question)
            await self._while_alive()
            return wire.answer_of(wire.reply_of(answer))
        raise NetworkFailure("no answer in time")

    async def _while_alive(self):
        await trio.lowlevel.checkpoint()
        if self.dead:
            await trio.sleep_forever()


class Two:
    """Two daemons, a founder who writes real documents, and clients of theirs with doors of their own."""

    def __init__(self):
        self.daemons = {name: Daemon() for name in NAMES}
        self.author = Author(secrets.token_bytes(32), NAME)
        self.founder = address_of(self.author.key)
        self.bob = secrets.token_bytes(32)
        self.author.give(self.bob, Role.OPERATOR)

    def client(self, order=NAMES, who=None):
        """The network as one process of the founder, or of *who*, sees it."""
        doors = {name: Door(self.daemons[name], self.founder, who or self.founder) for name in order}
        return NetworkClusters(NAME, who or self.founder, doors, lambda _: None)

    async def write(self, client, wait_s=0.0):
        """A command that writes one document, from its lease to its release: before, and what it wrote."""
        async with client.locked("apply", wait_s) as held:
            base = held.document
            return base, await held.write(self.author.write(secrets.token_bytes(8), base).body)

    async def tried(self, client):
        """The same; None where it ended with an error of ours."""
        try:
            return (await self.write(client))[1]
        except TrustedPodsError:
            return None

    def check_whole(self, document):
        """Both API servers hold *document* alone, and nobody's lease."""
        for daemon in self.daemons.values():
            assert daemon.kept.copy == Copy(document)
            assert daemon.kept.lease.grant is None
