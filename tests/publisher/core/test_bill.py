# SPDX-License-Identifier: Apache-2.0
"""The bill is what the contract pays, and whatever does not hold is named."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from trustedpods.contracts.merkle import leaf, proofs, root
from trustedpods.contracts.records import Channel
from trustedpods.contracts.settlement import settle
from trustedpods.contracts.terms import MAX_DEPOSIT, Terms
from trustedpods.contracts.usage import UsageItem
from trustedpods.protocol.ids import ChannelId, address_from_bytes
from trustedpods.protocol.messages.provider import Prices
from trustedpods.protocol.messages.usage import UsageLeaf, UsageReport
from trustedpods.protocol.units import TokenUnits, UnixSeconds, Usage
from trustedpods.publisher.core.bill import (
    Account,
    by_day,
    compare_with_chain,
    make_bill,
    month_of,
    with_transactions,
)
from trustedpods.publisher.core.cost import Shape

PRICES = Prices(cpu_core_ms=2000, memory_mib_s=100, storage_mib_s=10, egress_kib=5, ingress_kib=5, scale=72)
OWNER, PAYMENTS = address_from_bytes(b"\x01" * 20), address_from_bytes(b"\x02" * 20)
START = 1_800_000_000
SHAPE = Shape(cpu_milli=500, memory_mib=64, storage_mib=10, scratch_mib=0, max_replicas=2)
QUANTITY = st.integers(0, (1 << 48) - 1)
USAGE = st.builds(Usage, QUANTITY, QUANTITY, QUANTITY, QUANTITY, QUANTITY)


def account(cap=10**20):
    return Account(31337, PAYMENTS, OWNER, ChannelId(77), Terms.with_cap(PRICES, cap, 60))


def report(periods, open_usage=(0, 0, 0, 0, 0)):
    """Leaves for (seconds, usage) periods that follow each other; each in a batch with a stranger's."""
    leaves, at = [], START
    for seconds, usage in periods:
        item = UsageItem(ChannelId(77), UnixSeconds(at), UnixSeconds(at + seconds), usage)
        stranger = leaf(31337, PAYMENTS, OWNER, replace(item, channel=ChannelId(78)))
        hashes = [leaf(31337, PAYMENTS, OWNER, item), stranger]
        leaves.append(
            UsageLeaf(
                from_=at,
                up_to=at + seconds,
                usage=list(usage.quantities),
                root=root(hashes),
                proof=proofs(hashes)[0],
                transaction=None,
            )
        )
        at += seconds
    return UsageReport(leaves=leaves, open_usage=list(open_usage))


@given(st.lists(st.tuples(st.integers(1, 10**6), USAGE), max_size=6), st.integers(1, 10**15))
def test_each_line_is_what_the_contract_pays(periods, cap):
    held = account(cap)
    bill = make_bill(held, report(periods), START)
    assert bill.problems == ()
    channel = Channel(ChannelId(77), 5, UnixSeconds(START), MAX_DEPOSIT, held.terms)
    for line in bill.lines:
        item = UsageItem(ChannelId(77), line.from_, line.up_to, line.usage)
        settled = settle(channel, item, 5, line.up_to)
        assert line.amount == settled.result.paid
        channel = settled.channel
    assert bill.total == MAX_DEPOSIT - channel.left


def test_amounts_and_open_usage():
    usage = Usage(1000, 2000, 3000, 4, 5)
    expected = ((1000 * 2000 + 2000 * 100 + 3000 * 10 + 4 * 5 + 5 * 5) << 64) >> 72
    bill = make_bill(account(), report([(10, usage), (5, usage)], usage.quantities))
    assert [line.amount for line in bill.lines] == [expected, expected]
    assert bill.total == 2 * expected
    assert bill.open_amount == expected
    assert not any(line.cut for line in bill.lines)


def test_the_rate_cap_is_named():
    bill = make_bill(account(cap=86_400), report([(10, Usage(cpu_core_ms=10**9))]))
    assert bill.lines[0].amount == 10
    assert bill.lines[0].cut


def problems(changed, shape=None, opened_at=None):
    return " ".join(make_bill(account(), changed, opened_at, shape).problems)


def test_what_does_not_hold_is_named():
    good = report([(10, Usage(5000)), (10, Usage(5000))])
    first, second = good.leaves

    def having(*leaves):
        return good.model_copy(update={"leaves": list(leaves)})

    assert problems(good) == ""
    assert "period 1: its proof" in problems(having(first.model_copy(update={"usage": [9, 0, 0, 0, 0]})))
    assert "period 1: its proof" in problems(having(first.model_copy(update={"proof": []})))
    assert "period 2: its proof" in problems(having(first, second.model_copy(update={"root": first.root})))
    assert "period 2: begins at" in problems(having(first, first))
    assert "not after its begin" in problems(having(first.model_copy(update={"up_to": START})))
    assert "period 1: begins" not in problems(having(second))


def test_only_the_present_channel_is_billed():
    both = report([(10, Usage(5000)), (10, Usage(7000))])
    bill = make_bill(account(), both, START + 10)
    assert [line.usage for line in bill.lines] == [Usage(7000)]
    assert bill.problems == ()
    assert "begins at" in problems(both, opened_at=START + 5)
    assert "begins at" in problems(both, opened_at=START - 5)


def test_more_than_the_pod_can_use_is_named():
    most = SHAPE.awake(10, SHAPE.max_replicas)
    fits = report([(10, replace(most, storage_mib_s=0))])
    assert problems(fits, SHAPE) == ""
    over = report([(10, replace(most, cpu_core_ms=most.cpu_core_ms + 1, memory_mib_s=10**6))])
    assert "CPU" in problems(over, SHAPE)
    assert "memory" in problems(over, SHAPE)
    assert problems(over) == ""


def test_the_chain_decides_what_is_mined():
    bill = make_bill(account(), report([(10, Usage(5000)), (10, Usage(5000))]))
    assert bill.mined == 0
    seen = with_transactions(bill, {bill.lines[0].root: b"\x01" * 32})
    assert seen.mined == bill.lines[0].amount
    assert compare_with_chain(seen, bill.total) == []
    assert compare_with_chain(seen, None) == []
    assert "were claimed" in compare_with_chain(seen, TokenUnits(bill.total + 1))[0]


def test_days_are_the_sums_of_the_periods_that_begin_in_them():
    day = 86_400
    periods = [(day - 1, Usage(1)), (2, Usage(2)), (day, Usage(4)), (3 * day, Usage(8))]
    bill = make_bill(account(), report(periods), START)
    days = by_day(bill)
    assert [one.begins % day for one in days] == [0] * len(days)
    assert sorted({line.from_ // day for line in bill.lines}) == [one.begins // day for one in days]
    assert Usage.total(one.usage for one in days) == Usage.total(line.usage for line in bill.lines)
    assert sum(one.amount for one in days) == bill.total
    assert month_of(bill) == bill.total * 30 * day // sum(seconds for seconds, _ in periods)
    assert month_of(make_bill(account(), report([]), START)) is None
