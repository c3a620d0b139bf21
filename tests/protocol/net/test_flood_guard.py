# SPDX-License-Identifier: Apache-2.0
"""How much a peer may send that carries nothing, or goes nowhere."""

import struct

import pytest
import trio
import trio.testing

from trustedpods.protocol.net.bounds import FIRST_WINDOW
from trustedpods.protocol.net.flood_guard import CONTROL_BURST, CONTROL_PER_S, OPENING, GuardedSession

DATA, WINDOW, PING = 0, 1, 2
SYN, FIN = 1, 4


class Peer:
    """A session whose every read is the next header; `open` are the streams that there are."""

    def __init__(self):
        self.headers, self.abuse, self.open, self.ends = [], [], {1}, []
        end = lambda *told: self.ends.append(told)  # noqa: E731
        self.guard = GuardedSession(self, self.open.__contains__, self.abuse.append, end)

    async def read(self, n=None):
        return self.headers.pop(0)

    async def send(self, *header, times=1):
        self.headers = [struct.pack("!BBHII", 0, *header)] * times
        while self.headers and not self.abuse:
            await self.guard.read(12)


@pytest.fixture
def clock():
    """Time that stands still until a test moves it."""
    return trio.testing.MockClock()


@pytest.fixture
async def peer():
    return Peer()


@pytest.mark.parametrize("header", [(PING, SYN, 0, 1), (WINDOW, 0, 1, 5), (DATA, 0, 1, 0), (9, 0, 0, 0)])
async def test_empty_frames_have_a_budget(peer, header):
    await peer.send(*header, times=CONTROL_BURST)
    assert not peer.abuse
    await peer.send(*header, times=CONTROL_BURST)
    assert peer.abuse == ["too many frames without data"]


async def test_ends_are_told_with_what_still_follows(peer):
    for header in ((DATA, FIN, 1, 7), (WINDOW, FIN, 1, 7), (DATA, 0, 1, 7), (PING, FIN, 1, 7)):
        await peer.send(*header)
    assert peer.ends == [(1, 7), (1, 0)]


async def test_the_budget_comes_back(clock):
    peer = Peer()
    await peer.send(PING, SYN, 0, 1, times=CONTROL_BURST)
    clock.jump(1)
    await peer.send(PING, SYN, 0, 1, times=CONTROL_PER_S)
    assert not peer.abuse
    clock.jump(3600)
    await peer.send(PING, SYN, 0, 1, times=CONTROL_BURST + 1)
    assert peer.abuse


async def test_an_opening_costs_more(peer):
    await peer.send(WINDOW, SYN, 3, 0, times=CONTROL_BURST // OPENING)
    assert not peer.abuse
    await peer.send(WINDOW, SYN, 3, 0, times=CONTROL_BURST)
    assert peer.abuse


async def test_data_costs_nothing(peer):
    await peer.send(DATA, 0, 1, 60_000, times=10 * CONTROL_BURST)
    assert not peer.abuse


async def test_data_for_nobody_has_a_budget(peer):
    await peer.send(DATA, 0, 7, FIRST_WINDOW)
    assert not peer.abuse
    await peer.send(DATA, 0, 7, 1)
    assert peer.abuse == ["data for streams that are gone"]


async def test_what_was_under_way_to_a_reset_stream_is_forgiven(peer):
    peer.guard.expect_strays(1_000_000)
    await peer.send(DATA, 0, 7, FIRST_WINDOW + 1_000_000)
    assert not peer.abuse


async def test_a_second_opening_with_data_is_data_for_nobody(peer):
    await peer.send(DATA, SYN, 1, FIRST_WINDOW + 1)
    assert peer.abuse


async def test_payload_is_not_looked_at(peer):
    peer.guard.in_body = True
    await peer.send(PING, SYN, 0, 1, times=2 * CONTROL_BURST)
    assert not peer.abuse


async def test_others_get_their_turn(peer):
    """While one peer's frames lie ready by the thousand, another task runs."""
    turns = []

    async def other():
        while True:
            turns.append(len(peer.headers))
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(other)
        await peer.send(DATA, 0, 1, 100, times=1000)
        nursery.cancel_scope.cancel()
    assert len(turns) >= 10
