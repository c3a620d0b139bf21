# SPDX-License-Identifier: Apache-2.0
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from trustedpods.protocol.limits import MIB
from trustedpods.protocol.net.bounds import Bounds
from trustedpods.protocol.net.connection_limits import ConnectionLimits

BOUNDS = Bounds(max_pending=3, max_connections=3, max_per_peer=2, max_unread=10 * MIB)


@dataclass(eq=False)
class FakeConnection:
    remote_host: str = "192.0.2.1"
    remote_peer_id: bytes = b"peer"
    last_heard: float = 0
    streams: int = 0
    unread: int = 0
    aborted: bool = False

    def abort(self) -> None:
        self.aborted = True


@pytest.fixture
def stay():
    with ExitStack() as stack:
        yield stack.enter_context


def test_too_many_handshakes_lose_the_oldest_of_the_busiest_address(stay):
    limits = ConnectionLimits(BOUNDS)
    honest = FakeConnection("192.0.2.9")
    crowd = [FakeConnection() for _ in range(5)]
    for each in [honest, *crowd]:
        stay(limits.pending(each))
    assert not honest.aborted
    assert [each.aborted for each in crowd] == [True, True, True, False, False]
    assert limits.pending_count == 3


def test_too_many_connections_lose_the_least_active_of_the_busiest_address(stay):
    limits = ConnectionLimits(BOUNDS)
    alone = FakeConnection("192.0.2.9", b"a", last_heard=1)
    quiet = FakeConnection("192.0.2.1", b"b", last_heard=5)
    working = FakeConnection("192.0.2.1", b"c", last_heard=2, streams=1)
    for each in (alone, working, quiet):
        stay(limits.established(each))
    stay(limits.established(FakeConnection("192.0.2.7", b"d")))
    assert (alone.aborted, quiet.aborted, working.aborted) == (False, True, False)
    assert len(limits) == 3


def test_a_peer_with_too_many_connections_loses_its_own(stay):
    limits = ConnectionLimits(BOUNDS)
    other = FakeConnection(remote_peer_id=b"other")
    first, second = FakeConnection(last_heard=1), FakeConnection(last_heard=2)
    for each in (other, first, second, FakeConnection(last_heard=3)):
        stay(limits.established(each))
    assert (other.aborted, first.aborted, second.aborted) == (False, True, False)


def test_whoever_holds_most_unread_bytes_goes_first(stay):
    limits = ConnectionLimits(BOUNDS)
    light, heavy = FakeConnection(unread=MIB), FakeConnection(unread=9 * MIB)
    stay(limits.established(light))
    stay(limits.established(heavy))
    limits.received(8 * MIB)
    assert not heavy.aborted
    light.unread = 2 * MIB
    limits.received(8 * MIB)
    assert (light.aborted, heavy.aborted) == (False, True)


def test_places_are_free_again_afterwards():
    limits = ConnectionLimits(BOUNDS)
    for _ in range(10):
        with limits.pending(FakeConnection()):
            pass
        with limits.established(FakeConnection()):
            pass
    assert (limits.pending_count, len(limits)) == (0, 0)
