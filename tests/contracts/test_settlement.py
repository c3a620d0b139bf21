# SPDX-License-Identifier: Apache-2.0
"""The plain twin by itself; test_vectors.py and contracts/test hold the packed code against it."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.contracts.strategies import channels, usages
from trustedpods.contracts.records import Channel
from trustedpods.contracts.settlement import MAX_CARRY, allowance, settle
from trustedpods.contracts.terms import DAY_S, due
from trustedpods.contracts.usage import ItemFlags, UsageItem


def word_of(channel):
    return channel.meter_tag << 136 | channel.carry << 120 | channel.up_to << 88 | channel.left


@given(channels, usages, st.integers(1, 30 * DAY_S))
def test_what_is_paid_is_the_least_of_due_allowance_and_deposit(channel, used, pause):
    item = UsageItem(channel.id, channel.up_to, channel.up_to + pause, used)
    done = settle(channel, item, channel.meter_tag, item.up_to)
    owed, allowed = due(used, channel.terms.prices), allowance(channel, item.up_to)
    assert done.result.paid == min(owed, allowed, channel.left)
    assert (done.result.flags == 0) == (done.result.paid == owed)
    assert done.channel.left == channel.left - done.result.paid
    assert 0 <= done.channel.carry <= MAX_CARRY


@given(channels, usages, st.integers(1, 30 * DAY_S))
def test_a_second_time_is_stale(channel, used, pause):
    item = UsageItem(channel.id, channel.up_to, channel.up_to + pause, used)
    after = settle(channel, item, channel.meter_tag, item.up_to).channel
    again = settle(after, item, channel.meter_tag, item.up_to)
    assert again.result.flags == ItemFlags.STALE
    assert (again.result.paid, again.channel) == (0, after)


@given(channels, usages)
def test_every_reason_to_skip_changes_nothing(channel, used):
    item = UsageItem(channel.id, channel.up_to, channel.up_to + 10, used)
    tag, now = channel.meter_tag, item.up_to
    dry = replace(channel, left=0)
    cases = [
        (channel, item, tag ^ 1, now, ItemFlags.FOREIGN),
        (channel, replace(item, from_=item.from_ + 1), tag, now, ItemFlags.STALE),
        (channel, replace(item, up_to=item.from_), tag, now, ItemFlags.STALE),
        (channel, item, tag, now - 1, ItemFlags.FUTURE),
        (dry, item, tag, now, ItemFlags.DRY),
        (None, item, tag, now, ItemFlags.FOREIGN),
    ]
    for before, asked, by, at, flag in cases:
        done = settle(before, asked, by, at)
        assert (done.result.flags, done.result.paid, done.channel) == (flag, 0, before)


@given(channels, usages, st.integers(1, 30 * DAY_S), st.integers(0, 2**88 - 1))
def test_a_voucher_lifts_the_cap_up_to_the_deposit(channel, used, pause, most):
    item = UsageItem(channel.id, channel.up_to, channel.up_to + pause, used, voucher=True)
    done = settle(channel, item, channel.meter_tag, item.up_to, most)
    allowed = max(allowance(channel, item.up_to), most)
    assert done.result.paid == min(due(used, channel.terms.prices), allowed, channel.left)
    assert 0 <= done.channel.carry <= MAX_CARRY
    without = settle(channel, item, channel.meter_tag, item.up_to)
    assert without.result.flags == ItemFlags.STALE | ItemFlags.BAD_REF
    assert (without.result.flags.skipped, without.result.paid, without.channel) == (True, 0, channel)


@given(channels)
def test_channels_survive_their_words(channel):
    assert Channel.from_words(channel.id, word_of(channel), channel.terms.pack()) == channel
    assert Channel.from_words(channel.id, 0, 0) is None
