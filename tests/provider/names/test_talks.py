# SPDX-License-Identifier: Apache-2.0
"""Places for conversations: whose they are, and that nobody keeps others out."""

from contextlib import AsyncExitStack, suppress
from functools import partial

import pytest
import trio

from trustedpods.provider.names.talks import MAX_TALKS, MAX_TALKS_OF_ONE, Talks

OWNERS = {f"127.0.1.{number}": "many pods" for number in range(1, 41)} | {
    "127.0.2.1": "one pod",
    "127.0.2.2": "another",
}
"""Who asks from which address; all others are nobody's."""


class Listener:
    """Real sockets: each conversation lasts until its connection ends."""

    def __init__(self):
        self.talks = Talks(self.converse, 60.0, owner_of=OWNERS.get)
        self.port = 0

    async def converse(self, stream, _sender):
        await stream.send_all(b"+")
        await stream.receive_some(1)

    async def call(self, address, stack):
        """The connection, if it got a place; None where it was hung up on."""
        stream = await trio.open_tcp_stream("127.0.0.1", self.port, local_address=address)
        await stack.enter_async_context(stream)
        with trio.fail_after(5):
            return stream if await piece(stream) == b"+" else None


async def piece(stream):
    with suppress(trio.BrokenResourceError):
        return await stream.receive_some(1)
    return b""


@pytest.fixture
async def listener(nursery):
    made = Listener()
    serve = partial(trio.serve_tcp, made.talks.talk, 0, host="127.0.0.1")
    (listening,) = await nursery.start(serve)
    made.port = listening.socket.getsockname()[1]
    return made


async def test_an_address_that_is_nobodys_takes_no_place(listener):
    async with AsyncExitStack() as stack:
        assert await listener.call("127.0.3.1", stack) is None
        assert listener.talks.count() == 0
        assert await listener.call("127.0.2.1", stack) is not None


async def test_one_address_has_few_places(listener):
    async with AsyncExitStack() as stack:
        for _ in range(MAX_TALKS_OF_ONE):
            assert await listener.call("127.0.2.1", stack) is not None
        assert await listener.call("127.0.2.1", stack) is None


async def test_whoever_holds_all_places_gives_them_up_to_others(listener):
    async with AsyncExitStack() as stack:
        many = [address for address, owner in OWNERS.items() if owner == "many pods"]
        held = [await listener.call(many[turn // MAX_TALKS_OF_ONE], stack) for turn in range(MAX_TALKS)]
        assert all(held)
        assert await listener.call(many[-1], stack) is None, "more pods of the same get no more places"
        for place, address in enumerate(("127.0.2.1", "127.0.2.2", "127.0.2.1")):
            assert await listener.call(address, stack) is not None
            with trio.fail_after(5):
                assert await piece(held[place]) == b"", "the oldest goes"
        assert listener.talks.count() == MAX_TALKS
