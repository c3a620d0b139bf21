# SPDX-License-Identifier: Apache-2.0
"""Each pod has a lock of its own, as long as somebody needs it."""

import trio

from trustedpods.protocol.ids import ChannelId
from trustedpods.provider.pods.turns import PodTurns

ONE, OTHER = ChannelId(1), ChannelId(2)


async def test_one_after_another_for_one_pod_and_side_by_side_for_two(autojump_clock):
    turns, order = PodTurns(), []

    async def work(channel, name):
        async with turns.of(channel):
            order.append(name)
            await trio.sleep(1)

    async with trio.open_nursery() as nursery:
        for channel, name in ((ONE, "one"), (OTHER, "other"), (ONE, "one again")):
            nursery.start_soon(work, channel, name)
    assert sorted(order[:2]) in (["one", "other"], ["one again", "other"])
    assert trio.current_time() < 3


async def test_nothing_is_kept_of_a_pod_that_nobody_writes():
    turns = PodTurns()
    async with turns.of(ONE):
        assert len(turns._locks) == 1
    assert len(turns._locks) == 0
