# SPDX-License-Identifier: Apache-2.0
"""The money path: open, claim, withdraw, leave; on a real node and on the fake."""

import random
import secrets

import pytest

from tests.contracts.conftest import new_party
from trustedpods.contracts import merkle
from trustedpods.contracts.eip712 import Domain, Move, sign_move, sign_usage, usage_signer
from trustedpods.contracts.settlement import settle
from trustedpods.contracts.terms import due
from trustedpods.contracts.usage import ItemFlags, SignedClaim, UsageClaim, UsageItem
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
    totals = await chain.owner_totals(deal.owner.address)
    assert (totals.credited, totals.withdrawn, totals.claims) == (results[0].paid, 0, 1)
    withdrawn = await chain.withdraw(deal.operator.key, deal.owner.address)
    assert (await chain.owner_totals(deal.owner.address)).withdrawn == withdrawn.moved
    fee = await chain.fee(withdrawn.tx_hash)
    assert (fee.sender, fee.gas) == (deal.operator.address, withdrawn.gas_used)
    assert fee.wei > 0
    assert fee.wei % fee.gas == 0
    assert now <= fee.at <= (await chain.head()).time
    assert await chain.fee(b"\x01" * 32) is None
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


async def test_a_move_is_good_in_one_life_only(pass_time, chain, deal, terms):
    """The owner ends the channel and its publisher opens it again: what was signed before is void."""
    successor = new_party()
    await chain.set_operator(deal.owner.key, deal.operator.address)
    pass_time(2)
    now = (await chain.head()).time
    meters = (deal.meter.address, successor.address)
    move = Move(deal.owner.address, deal.ref.salt, *meters, as_of=now, deadline=now + 1000)
    signature = sign_move(deal.publisher.key, domain(chain), move)
    await chain.release(deal.owner.key, [deal.ref])
    await chain.open_with_permit(deal.publisher.key, deal.ref, deal.meter.address, terms, deal.deposit)
    moves = [(deal.publisher.address, move, signature)]
    _, (result,) = await chain.rotate(deal.operator.key, deal.owner.address, *meters, moves)
    assert result.flags == ItemFlags.STALE
    assert (await the_channel(chain, deal)).left == deal.deposit


async def test_a_move_to_the_same_meter_is_refused(chain, deal):
    now = (await the_channel(chain, deal)).up_to
    meters = (deal.meter.address, deal.meter.address)
    move = Move(deal.owner.address, deal.ref.salt, *meters, now + 1, now + 9999, pay=5)
    moves = [(deal.publisher.address, move, sign_move(deal.publisher.key, domain(chain), move))]
    with pytest.raises(Refused) as caught:
        await chain.rotate(deal.owner.key, deal.owner.address, *meters, moves)
    assert caught.value.rule == "BadTerms"


async def test_a_period_is_paid_whole_or_not_at_all(pass_time, chain, deal):
    channel = await the_channel(chain, deal)
    pass_time(10)
    now = (await chain.head()).time
    too_much = UsageItem(deal.id, channel.up_to, now, Usage(egress_kib=2**48 - 1), whole=True)
    right = UsageItem(deal.id, channel.up_to, now, USED, whole=True)
    for item in (too_much, right):
        expected = settle(await the_channel(chain, deal), item, channel.meter_tag, now)
        signed = sign_usage(deal.meter.key, domain(chain), claim_of(chain, deal, item))
        _, (result,) = await chain.submit_usage_for(deal.operator.key, deal.owner.address, signed)
        assert result == expected.result
        assert await the_channel(chain, deal) == expected.channel
        assert (ItemFlags.DRY in result.flags) == (item is too_much)


ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def forms(good):
    """A good signature, and others made from it: each is somebody's, or none, by the same rule for all."""
    draw = random.Random("forms of signatures")
    r, s, v = good[:32], int.from_bytes(good[32:64]), good[64]

    def of(r=r, s=s, v=v):
        return (r if isinstance(r, bytes) else r.to_bytes(32)) + s.to_bytes(32) + bytes([v])

    yield from (of(v=one) for one in (0, 1, 26, 27, 28, 29, 35, 36, 255))
    yield from (of(s=ORDER - s, v=one) for one in (27, 28))
    yield from (of(s=one) for one in (0, 1, ORDER // 2, ORDER // 2 + 1, ORDER - 1, ORDER, 2**256 - 1))
    yield from (of(r=one) for one in (0, 1, 5, ORDER - 1, ORDER, 2**256 - 1))
    yield from (of(r=draw.getrandbits(255), s=draw.getrandbits(254)) for _ in range(8))
    yield from (b"", good[:64], good[:64] + b"\0" + good[64:], good + b"\0", bytes(65))


async def test_signatures_are_taken_as_strictly_as_by_the_contract(chain, deal):
    """An item is FOREIGN with another's signature, STALE with the meter's own; with none it reverts."""
    item = UsageItem(deal.id, 1, 2, USED)
    claim = claim_of(chain, deal, item)
    good = sign_usage(deal.meter.key, domain(chain), claim).signature
    seen = set()
    for signature in forms(good):
        signer = usage_signer(domain(chain), claim, signature)
        signed = SignedClaim(claim, deal.meter.address, signature)
        if signer is None:
            with pytest.raises(Refused, match="ECDSA") as caught:
                await chain.submit_usage_for(deal.operator.key, deal.owner.address, signed)
            seen.add(caught.value.rule[:5])
            continue
        _, (result,) = await chain.submit_usage_for(deal.operator.key, deal.owner.address, signed)
        mine = signer == deal.meter.address
        assert result.flags == (ItemFlags.STALE if mine else ItemFlags.FOREIGN), signature.hex()
        seen.add(result.flags)
    assert seen == {"ECDSA", ItemFlags.STALE, ItemFlags.FOREIGN}


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
    assert await chain.salt_of(deal.publisher.address, found) == deal.ref.salt
    assert await chain.salt_of(deal.owner.address, found) is None
    assert await chain.opened_by(deal.owner.address) == []


async def test_token_is_described(chain):
    info = await chain.token_info()
    assert info.symbol == "TPT"
    assert info.decimals in (6, 18)
