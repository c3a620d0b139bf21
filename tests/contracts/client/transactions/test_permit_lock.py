# SPDX-License-Identifier: Apache-2.0
"""One signer at a time, in one process or several; whoever waits too long hears why."""

import pytest
import trio

from trustedpods.contracts.client.transactions.permit_lock import TURN_WITHIN_S, permit_turn
from trustedpods.protocol.errors import Locked, NoContext


@pytest.mark.parametrize("file", [True, False])
async def test_one_at_a_time_until_given_up(tmp_path, autojump_clock, file):
    path = tmp_path / "folder" / "lock" if file else None
    shared, told = trio.Lock(), []

    async def sign(number):
        # With a file each has a lock of its own, as if it were another process.
        async with permit_turn(trio.Lock() if file else shared, path) as turn:
            told.append(("signs", number))
            await trio.sleep(1)
            told.append(("mined", number))
            turn.give_up()
            turn.give_up()
            await trio.sleep(100)

    async with trio.open_nursery() as nursery:
        for number in range(3):
            nursery.start_soon(sign, number)
    assert trio.current_time() < 110
    assert [what for what, _ in told] == ["signs", "mined"] * 3
    assert all(one[1] == two[1] for one, two in zip(told[::2], told[1::2], strict=True))


async def test_a_failure_ends_the_turn(tmp_path, autojump_clock):
    lock = trio.Lock()
    with pytest.raises(ZeroDivisionError):
        async with permit_turn(lock, tmp_path / "lock"):
            raise ZeroDivisionError
    async with permit_turn(lock, tmp_path / "lock"):
        assert trio.current_time() < 1


async def test_whoever_waits_too_long_hears_of_it(tmp_path, autojump_clock):
    async with permit_turn(trio.Lock(), tmp_path / "lock"):
        began = trio.current_time()
        with pytest.raises(Locked, match="other payments"):
            async with permit_turn(trio.Lock(), tmp_path / "lock"):
                pass
        assert trio.current_time() - began == pytest.approx(TURN_WITHIN_S, abs=1)


async def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NoContext, match="no lock file"):
        async with permit_turn(trio.Lock(), tmp_path / "file" / "lock"):
            pass
