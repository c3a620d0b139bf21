# SPDX-License-Identifier: Apache-2.0
"""Whose conversation has to end when there is no room for all."""

import pytest
import trio
import trio.testing

from trustedpods.provider.server.conversation_limits import Seats


async def sit(seats, host, weight, gone, *, task_status):
    """Stay until somebody else needs the place."""
    with seats.taken(host, weight) as scope:
        task_status.started()
        await trio.sleep_forever()
    assert scope.cancelled_caught
    gone.append(host)


@pytest.fixture
async def room():
    """Seats of size 4, and a way to fill them."""
    gone = []
    seats = Seats(4)
    async with trio.open_nursery() as nursery:

        async def enter(host, weight=1):
            await nursery.start(sit, seats, host, weight, gone)
            await trio.testing.wait_all_tasks_blocked()

        yield seats, enter, gone
        nursery.cancel_scope.cancel()


async def test_whoever_fits_disturbs_nobody(room):
    seats, enter, gone = room
    for host in "abcd":
        await enter(host)
    assert (len(seats), gone) == (4, [])


async def test_the_oldest_of_the_busiest_address_goes(room):
    seats, enter, gone = room
    for host in "abba":
        await enter(host)
    await enter("c")
    assert (len(seats), gone) == (4, ["a"])
    await enter("c")
    assert gone == ["a", "b"]


async def test_one_address_pushes_out_only_itself(room):
    _, enter, gone = room
    await enter("honest")
    for _ in range(20):
        await enter("busy")
    assert set(gone) == {"busy"}


async def test_weight_counts_and_not_heads(room):
    _, enter, gone = room
    await enter("heavy", 3)
    await enter("light")
    await enter("light")
    assert gone == ["heavy"]


async def test_what_is_larger_than_the_room_sits_alone(room):
    seats, enter, gone = room
    await enter("a")
    await enter("giant", 9)
    assert (len(seats), gone) == (1, ["a"])


async def test_who_leaves_frees_the_place():
    seats = Seats(1)
    for _ in range(3):
        with seats.taken("a", 1) as scope:
            assert len(seats) == 1
        assert not scope.cancelled_caught
    assert len(seats) == 0
