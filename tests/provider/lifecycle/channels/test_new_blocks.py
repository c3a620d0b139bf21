# SPDX-License-Identifier: Apache-2.0
"""The next block is asked for once for all who wait, and waited for no longer than is wanted."""

import pytest
import trio

from trustedpods.contracts.records import Block
from trustedpods.protocol.errors import NetworkFailure
from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.lifecycle.channels.new_blocks import LOOK_S, SELDOM_S, NewBlocks, look_s

WAITING = 50
BLOCK_S = 1.0


class Chain:
    """A block each second of the test's clock, or as often as is said."""

    def __init__(self, block_s: float = BLOCK_S) -> None:
        self.block_s = block_s
        self.asked = 0
        self.began = trio.current_time()
        self.silent = False

    async def head(self) -> Block:
        self.asked += 1
        if self.silent:
            raise NetworkFailure("silent")
        number = int((trio.current_time() - self.began) / self.block_s)
        return Block(number, UnixSeconds(int(number * self.block_s)), bytes(32))


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


@pytest.mark.parametrize(
    ("blocks", "seconds", "wanted"),
    [(0, 0, LOOK_S), (-3, 60, LOOK_S), (10, 10, LOOK_S), (10, 20, 0.2), (10, 1, LOOK_S), (10, 120, SELDOM_S)],
)
def test_a_slow_chain_is_asked_seldom_and_a_fast_one_often(blocks, seconds, wanted):
    earlier = Block(100, UnixSeconds(1000), bytes(32))
    newest = Block(100 + blocks, UnixSeconds(1000 + seconds), bytes(32))
    assert look_s(earlier, newest) == pytest.approx(wanted)


async def test_what_a_chain_costs_while_somebody_waits_follows_its_pace(virtual_time):
    chain = Chain(block_s=12.0)
    blocks, known = NewBlocks(chain.head), await chain.head()
    for _ in range(3):
        known = await blocks.after(known, 60)
    chain.asked = 0
    await blocks.after(known, 60)
    assert chain.asked <= chain.block_s / SELDOM_S + 1


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
