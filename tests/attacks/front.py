# SPDX-License-Identifier: Apache-2.0
"""A front: a peer between a publisher and a provider that passes frames on, and may bend them.

With the provider's own libp2p seed it is what pitfall 13 describes: somebody who took the identity key,
and whom no check of the peer id can tell from the provider.
"""

from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import trio

from trustedpods.protocol.errors import TrustedPodsError
from trustedpods.protocol.net import open_host
from trustedpods.protocol.protocol_ids import PROVIDER


@dataclass
class Front:
    """`asked` and `answered` are the frames that passed; `bend_*` say what is passed on instead."""

    behind: str
    address: str = ""
    asked: list = field(default_factory=list)
    answered: list = field(default_factory=list)
    bend_asked: object = staticmethod(lambda frame: frame)
    bend_answered: object = staticmethod(lambda frame: frame)

    async def handle(self, stream):
        """One stream in front, one behind."""
        async with (
            open_host(None, []) as host,
            host.dial(self.behind) as connection,
            connection.stream(PROVIDER) as inner,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(self._pass, stream, inner, self.asked, self.bend_asked)
            await self._pass(inner, stream, self.answered, self.bend_answered)
            nursery.cancel_scope.cancel()

    async def _pass(self, source, target, kept, bend):
        try:
            while True:
                frame = await source.receive(timeout=None)
                kept.append(frame)
                await target.send(bend(frame))
        except TrustedPodsError:
            return

    @property
    def seen(self):
        """Everything that passed, as one."""
        return b"".join(self.asked + self.answered)


@asynccontextmanager
async def front_of(behind, seed):
    """A front of the provider at *behind*, with the libp2p identity of *seed*."""
    front = Front(behind)
    async with open_host(seed, ["/ip4/127.0.0.1/tcp/0"]) as host:
        host.serve(PROVIDER, front.handle)
        front.address = host.addresses[0]
        yield front
