# SPDX-License-Identifier: Apache-2.0
"""One attempt of a member on a network at a daemon of `World`, question by question."""

import secrets

from tests.fakes.network_documents import Author
from tests.fakes.provider.caller import Caller
from trustedpods.contracts.eip712 import address_of
from trustedpods.protocol.messages.networks import NETWORK_REPLIES
from trustedpods.protocol.networks import wire
from trustedpods.protocol.networks.documents import (
    NOTHING,
    Commit,
    Prepare,
    ReadCopy,
    Written,
)
from trustedpods.protocol.networks.leases import (
    NO_TICKET,
    Acquire,
    Attempt,
    Command,
    Fence,
    Granted,
    Release,
    Released,
)
from trustedpods.protocol.networks.members import network_salt
from trustedpods.protocol.sealing.subjects import NetworkRef
from trustedpods.protocol.units import UnixSeconds

NAME = "shop"
COMMAND = Command("apply", "laptop", UnixSeconds(1_800_000_000))


class Member:
    """One attempt of a key's holder, by hand."""

    def __init__(self, world, address, key=None, founder=None, name=NAME):
        self.caller = Caller(world, address)
        self.caller.key = key or self.caller.key
        self.me = address_of(self.caller.key)
        self.name = name
        self.ref = NetworkRef(world.owner, founder or self.me, network_salt(name))
        self.attempt = Attempt(NO_TICKET, secrets.token_hex(16), self.me)
        self.fence = Fence(0)
        self.author = Author(self.caller.key, name)
        self.one = self.author.write(b"one")
        self.two = self.author.write(b"two", self.one)

    async def ask(self, question):
        body = wire.body_of(question, self.name)
        private, request = self.caller.signed("network", body, ref=self.ref)
        async with self.caller.talk(private, request) as (_, reply):
            answer, final = await reply(*NETWORK_REPLIES)
        assert final
        return wire.answer_of(answer)

    async def acquire(self):
        answer = await self.ask(Acquire(self.attempt, COMMAND))
        self.attempt = answer.attempt
        if isinstance(answer, Granted):
            self.fence = answer.fence
        return answer

    async def prepare(self, document=None, base=NOTHING):
        return await self.ask(Prepare(self.attempt, self.fence, base, document or self.one))

    async def commit(self, document=None):
        return await self.ask(Commit(self.attempt, self.fence, document or self.one))

    async def write(self, document=None, base=NOTHING):
        """From the lease to its release, as one that never fails."""
        assert isinstance(await self.acquire(), Granted)
        assert await self.prepare(document, base) == await self.commit(document) == Written()
        assert await self.release() == Released()
        self.attempt = Attempt(NO_TICKET, secrets.token_hex(16), self.me)

    async def release(self):
        return await self.ask(Release(self.attempt, aside=False))

    async def read(self):
        return await self.ask(ReadCopy())
