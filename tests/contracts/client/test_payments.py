# SPDX-License-Identifier: Apache-2.0
"""The money path: open, claim, withdraw, leave; on a real node and on the fake."""

import secrets

import pytest

from tests.contracts.conftest import new_party
from trustedpods.contracts import merkle
from trustedpods.contracts.eip712 import Domain, Move, sign_move, sign_usage
from trustedpods.contracts.settlement import settle
from trustedpods.contracts.terms import due
from trustedpods.contracts.usage import ItemFlags, UsageClaim, UsageItem
from trustedpods.protocol.errors import InsufficientFunds, LocalProtocolError, Refused
from trustedpods.protocol.ids import PodRef
from trustedpods.protocol.units import Usage

USED = Usage(cpu_core_ms=50_000, memory_mib_s=100_000, storage_mib_s=1_000_000, egress_kib=99)


def domain(chain):
    return Domain.of_payments(chain.market.chain_id, chain.market.payments)


def claim_of(chain, deal, *items):
    leaves = [merkle.leaf(chain.market.chain_id, chain.market.payments, deal.owner.address, i) for i in items]
    refs = tuple(deal.ref for item in items if item.release)
    return UsageClaim(deal.owner.address, merkle.root(leaves), tuple(items), refs)


async def the_channel(chain, deal):
    return await chain.channel(deal.owner.address, deal.id)


async def test_open_claim_withdraw_moves_exactly_what_is_due(pass_time, chain, deal, terms):
    await chain.check_market()
    channel = await the_channel(chain, deal)
    assert (channel.left, channel.terms, channel.carry) == (deal.deposit, terms, 0)
    pass_time(100)
    now = (await chain.head()).time
    item = UsageItem(deal.id, channel.up_to, now, USED)
    expected = settle(channel, item, channel.meter_tag, now)
    signed = sign_usage(deal.meter.key, domain(chain), claim_of(chain, deal, item))

    _, results = await chain.submit_usage_for(deal.operator.key, deal.owner.address, signed)
    again, repeated = await chain.submit_usage_for(deal.operator.key, deal.owner.address, signed)

    assert results == [expected.result]
    assert results[0].paid == due(USED, terms.prices)
    assert await the_channel(chain, deal) == expected.channel
    assert repeated[0].flags == ItemFlags.STALE
    assert repeated[0].paid == 0
    assert await chain.owed(deal.owner.address) == results[0].paid
    withdrawn = await chain.withdraw(deal.operator.key, deal.owner.address)
    assert withdrawn.moved == results[0].paid == await chain.token_balance(deal.owner.address)
    assert await chain.owed(deal.owner.address) == 0
    sent = await chain.submissions(deal.owner.address, signed.claim.root)
    assert sent not in (None, again.tx_hash)


async def test_opening_twice_meets_the_first(chain, deal, terms):
    with pytest.raises(Refused) as refused:
        await chain.open_with_permit(deal.publisher.key, deal.ref, deal.meter.address, terms, 5)
    assert refused.value.rule == "Live"


async def test_unknown_channels_are_none(chain, deal):
    found = await chain.channels(deal.owner.address, [deal.id + 1, deal.id])
    assert found[0] is None
    assert found[1].id == deal.id


async def test_poverty_is_named(chain, deal, terms, funded):
    poor = await funded(tokens=9)
    ref = PodRef(deal.owner.address, poor.address, secrets.token_bytes(32))
    with pytest.raises(InsufficientFunds, match="holds 9 base units"):
        await chain.open_with_permit(poor.key, ref, deal.meter.address, terms, 10)
    with pytest.raises(InsufficientFunds) as broke:
        await chain.set_payout(new_party().key, deal.owner.address)
    assert broke.value.rule == "gas"
    with pytest.raises(Refused) as nothing:
        await chain.withdraw(poor.key, deal.owner.address)
    assert nothing.value.rule == "BadAmount"


async def test_only_the_publishers_key_opens_for_it(chain, deal, terms):
    with pytest.raises(LocalProtocolError):
        await chain.open_with_permit(deal.owner.key, deal.ref, deal.meter.address, terms, 5)


async def test_anybody_tops_up(chain, deal, funded):
    friend = await funded(tokens=70)
    await chain.top_up(friend.key, deal.owner.address, deal.id, 70)
    assert (await the_channel(chain, deal)).left == deal.deposit + 70
    events = await chain.channel_events(deal.owner.address, deal.id)
    assert (events.opened, events.topped_up, events.closed) == (deal.deposit, 70, None)


async def test_leaving_takes_notice_and_refunds_everything(pass_time, chain, deal):
    before = await chain.token_balance(deal.publisher.address)
    with pytest.raises(Refused) as early:
        await chain.close(deal.publisher.key, deal.owner.address, deal.ref.salt)
    await chain.unlock(deal.publisher.key, deal.owner.address, deal.ref.salt)
    assert (await the_channel(chain, deal)).unlock_at > 0
    await chain.cancel_unlock(deal.publisher.key, deal.owner.address, deal.ref.salt)
    assert (await the_channel(chain, deal)).unlock_at == 0
    await chain.unlock(deal.publisher.key, deal.owner.address, deal.ref.salt)
    pass_time(61)
    closed = await chain.close(deal.publisher.key, deal.owner.address, deal.ref.salt)
    assert early.value.rule == "Locked"
    assert closed.moved == deal.deposit == await chain.token_balance(deal.publisher.address) - before
    assert await the_channel(chain, deal) is None
    told = await chain.closed(deal.owner.address, deal.id)
    assert (told.refund, told.tx_hash, told.pushed) == (deal.deposit, closed.tx_hash, True)


async def test_the_meter_releases_with_a_valid_item_only(pass_time, chain, deal):
    channel = await the_channel(chain, deal)
    pass_time(10)
    now = (await chain.head()).time
    wrong = UsageItem(deal.id, channel.up_to + 1, now, USED, release=True)
    right = UsageItem(deal.id, channel.up_to, now, USED, release=True)
    flags = []
    for item in (wrong, right):
        signed = sign_usage(deal.meter.key, domain(chain), claim_of(chain, deal, item))
        _, (result,) = await chain.submit_usage_for(deal.operator.key, deal.owner.address, signed)
        flags.append(result.flags)
    assert flags == [ItemFlags.STALE, ItemFlags.RELEASED]
    assert await the_channel(chain, deal) is None
    refund = (await chain.closed(deal.owner.address, deal.id)).refund
    assert refund + await chain.owed(deal.owner.address) == deal.deposit


async def test_the_owner_releases_alone(chain, deal):
    assert (await chain.release(deal.owner.key, [deal.ref])).moved == deal.deposit
    with pytest.raises(Refused) as twice:
        await chain.release(deal.owner.key, [deal.ref])
    assert twice.value.rule == "Unknown"


async def test_an_operator_rotates_what_the_publisher_signed(chain, deal):
    successor = new_party()
    now = (await chain.head()).time
    times = (now + 1, now + 1000)
    move = Move(deal.owner.address, deal.ref.salt, deal.meter.address, successor.address, *times)
    moves = [(deal.publisher.address, move, sign_move(deal.publisher.key, domain(chain), move))]
    arguments = (deal.owner.address, deal.meter.address, successor.address, moves)
    with pytest.raises(Refused) as stranger:
        await chain.rotate(deal.operator.key, *arguments)
    await chain.set_operator(deal.owner.key, deal.operator.address)
    assert await chain.set_operator(deal.owner.key, deal.operator.address) is None
    _, (result,) = await chain.rotate(deal.operator.key, *arguments)
    assert stranger.value.rule == "Denied"
    assert result.flags == 0
    assert (await the_channel(chain, deal)).meter_tag == int(successor.address, 16) % (1 << 120)


async def test_the_publisher_moves_alone_after_the_notice(pass_time, chain, deal):
    successor = new_party()
    await chain.unlock(deal.publisher.key, deal.owner.address, deal.ref.salt)
    pass_time(61)
    await chain.move(
        deal.publisher.key, deal.owner.address, deal.ref.salt, deal.meter.address, successor.address
    )
    channel = await the_channel(chain, deal)
    assert channel.meter_tag == int(successor.address, 16) % (1 << 120)
    assert channel.unlock_at == 0


async def test_payout_goes_where_the_owner_says(chain, deal):
    target = new_party().address
    assert await chain.payout(deal.owner.address) == deal.owner.address
    await chain.set_payout(deal.owner.key, target)
    assert await chain.payout(deal.owner.address) == target


async def test_a_cap_only_rises(chain, deal, terms):
    mantissa, exponent = terms.cap_mantissa, terms.cap_exponent
    salt = deal.ref.salt
    with pytest.raises(Refused) as same:
        await chain.raise_cap(deal.publisher.key, deal.owner.address, salt, mantissa, exponent)
    await chain.raise_cap(deal.publisher.key, deal.owner.address, salt, mantissa, exponent + 1)
    assert same.value.rule == "BadTerms"
    assert (await the_channel(chain, deal)).terms.cap_per_day == 2 * terms.cap_per_day


async def test_a_publisher_finds_its_channels_again(chain, deal, funded):
    (found,) = await chain.opened_by(deal.publisher.address)
    assert (found.owner, found.channel, found.amount) == (deal.owner.address, deal.id, deal.deposit)
    assert await chain.opened_by(deal.owner.address) == []


async def test_token_is_described(chain):
    info = await chain.token_info()
    assert info.symbol == "TPT"
    assert info.decimals in (6, 18)
