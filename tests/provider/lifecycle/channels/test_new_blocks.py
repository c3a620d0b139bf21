# SPDX-License-Identifier: Apache-2.0
"""The next block is asked for once for all who wait, and waited for no longer than is wanted."""

import pytest
import trio

from trustedpods.contracts.records import Block
from trustedpods.protocol.errors import NetworkFailure
from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.lifecycle.channels.new_blocks import LOOK_S, NewBlocks

WAITING = 50
BLOCK_S = 1.0


class Chain:
    """A block each second of the test's clock."""

    def __init__(self) -> None:
        self.asked = 0
        self.began = trio.current_time()
        self.silent = False

    async def head(self) -> Block:
        self.asked += 1
        if self.silent:
            raise NetworkFailure("silent")
        number = int((trio.current_time() - self.began) / BLOCK_S)
        return Block(number, UnixSeconds(number), bytes(32))


async def test_fifty_who_wait_cost_as_many_questions_as_one(virtual_time):
    chain = Chain()
    blocks, known, found = NewBlocks(chain.head), await chain.head(), []

    async def one() -> None:
        found.append((await blocks.after(known, 60)).number)

    async with trio.open_nursery() as nursery:
        for _ in range(WAITING):
            nursery.start_soon(one)
    assert found == [known.number + 1] * WAITING
    assert chain.asked <= 1 + BLOCK_S / LOOK_S + 1


async def test_a_chain_that_makes_no_block_is_not_waited_for(virtual_time):
    chain = Chain()
    chain.began += 1000  # its clock stands before the first block
    known = Block(5, UnixSeconds(5), bytes(32))
    began = trio.current_time()
    await NewBlocks(chain.head).after(known, 1.0)
    assert 1.0 <= trio.current_time() - began <= 1.0 + 2 * LOOK_S


async def test_a_chain_that_cannot_be_asked_is_told_and_asked_again(virtual_time):
    chain = Chain()
    blocks, known = NewBlocks(chain.head), await chain.head()
    chain.silent = True
    with pytest.raises(NetworkFailure):
        await blocks.after(known, 60)
    chain.silent = False
    assert (await blocks.after(known, 60)).number > known.number
