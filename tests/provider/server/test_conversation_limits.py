# SPDX-License-Identifier: Apache-2.0
"""Whose conversation has to end when there is no room for all."""

from contextlib import ExitStack

import pytest
import trio
import trio.testing

from trustedpods.protocol.errors import Refused
from trustedpods.provider.server.conversation_limits import ConversationLimits, LongVerbs


async def sit(limits, host, weight, gone, *, task_status):
    """Stay until somebody else needs the place."""
    with limits.taken(host, weight) as scope:
        task_status.started()
        await trio.sleep_forever()
    assert scope.cancelled_caught
    gone.append(host)


@pytest.fixture
async def room():
    """Limits of size 4, and a way to fill them."""
    gone = []
    limits = ConversationLimits(4)
    async with trio.open_nursery() as nursery:

        async def enter(host, weight=1):
            await nursery.start(sit, limits, host, weight, gone)
            await trio.testing.wait_all_tasks_blocked()

        yield limits, enter, gone
        nursery.cancel_scope.cancel()


async def test_whoever_fits_disturbs_nobody(room):
    limits, enter, gone = room
    for host in "abcd":
        await enter(host)
    assert (len(limits), gone) == (4, [])


async def test_the_oldest_of_the_busiest_address_goes(room):
    limits, enter, gone = room
    for host in "abba":
        await enter(host)
    await enter("c")
    assert (len(limits), gone) == (4, ["a"])
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
    limits, enter, gone = room
    await enter("a")
    await enter("giant", 9)
    assert (len(limits), gone) == (1, ["a"])


async def test_who_leaves_frees_the_place():
    limits = ConversationLimits(1)
    for _ in range(3):
        with limits.taken("a", 1) as scope:
            assert len(limits) == 1
        assert not scope.cancelled_caught
    assert len(limits) == 0


def test_a_long_verb_is_refused_where_its_publisher_or_all_have_as_many_as_may_be():
    verbs = LongVerbs("commands run", "a publisher 2, all 3")
    with ExitStack() as stack:
        for publisher in ("a", "a", "b"):
            stack.enter_context(verbs.one_more({publisher: 2, "all": 3}))
        assert (verbs["a"], verbs["b"], verbs["all"]) == (2, 1, 3)
        for publisher, most in (("a", 4), ("c", 3)):
            with pytest.raises(Refused) as caught:
                stack.enter_context(verbs.one_more({publisher: 2, "all": most}))
            assert caught.value.what == "too many commands run at once (a publisher 2, all 3)"
            assert caught.value.rule == "busy"
        assert (verbs["a"], verbs["c"], verbs["all"]) == (2, 0, 3)
    assert verbs["all"] == 0
    with pytest.raises(ZeroDivisionError), verbs.one_more({"a": 1}):
        raise ZeroDivisionError
    assert verbs["a"] == 0
