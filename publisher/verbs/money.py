# SPDX-License-Identifier: Apache-2.0
"""`fund`, `close`, `withdraw` and `balance`: verbs between the publisher and the payment contract alone."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import trio

from trustedpods.contracts.records import Channel, OpenedChannel
from trustedpods.contracts.terms import DAY_S, MAX_DEPOSIT
from trustedpods.protocol.errors import BadInput, Locked, NetworkFailure, Refused
from trustedpods.protocol.ids import channel_hex
from trustedpods.protocol.messages.provider import LeastTerms
from trustedpods.protocol.units import TokenUnits
from trustedpods.publisher.context import state_dir
from trustedpods.publisher.core.cost import Shape, cost_of
from trustedpods.publisher.core.money import Funding
from trustedpods.publisher.core.networks.telling import moment
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.locations import PodLocation, find_pod
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.output.json_of import as_facts
from trustedpods.publisher.output.json_parts import transaction_json
from trustedpods.publisher.parallel import open_nursery
from trustedpods.publisher.payment import channel, closing, paying_in, refund
from trustedpods.publisher.payment.gone import gone_already
from trustedpods.publisher.results.money import (
    BalanceResult,
    ChannelBalance,
    ClosedChannel,
    CloseProgress,
    CloseResult,
    DepositOutcome,
    FundProgress,
    FundResult,
    MinedTransaction,
    WithdrawResult,
)
from trustedpods.publisher.results.providers import ProviderId
from trustedpods.publisher.state.names import known_names
from trustedpods.publisher.verbs.aftermath import in_turn
from trustedpods.publisher.visits import records

LONGEST_LOOK_S = 30
"""Between two looks at a channel whose notice runs: a deploy may take it back."""


def top_up_amount(
    account: MarketAccount, found: Channel, funding: Funding, shape: Shape | None
) -> TokenUnits:
    """Base units of *funding*; a duration counts at full size if *shape* is known, else at the cap."""
    if funding.amount is not None:
        units = account.token.units(funding.amount, "AMOUNT")
    elif shape is not None:
        cost = cost_of(shape, found.terms.prices, LeastTerms(deposit=0, unlock_s=0, idle_mib=0))
        units = cost.deposit(funding, account.token)
    else:
        units = TokenUnits(-(-found.terms.cap_per_day * (funding.seconds or 0) // DAY_S))
    if found.left + units > MAX_DEPOSIT:
        raise BadInput(f"{account.token.text(units)} is more than the channel holds", where="AMOUNT")
    return units


async def fund(
    account: MarketAccount,
    name: str,
    funding: Funding,
    shape: Shape | None,
    progress: FundProgress,
    journal: Journal,
) -> FundResult:
    """Add to the pod's channel; *shape* is the pod's, else the largest that it was deployed with from here.

    When it raises after the money moved, *progress* has the transaction.
    """
    location, _ = await find_pod(account, name)
    if shape is None and (record := records.load(channel_hex(location.ref.channel), journal)) is not None:
        shape = records.shape_of_record(record)
    amount = top_up_amount(account, location.live, funding, shape)
    if location.live.unlock_at:
        journal.show.warning("the channel is unlocking: a top-up does not take the notice back, deploy does")
    ref, key = location.ref, account.publisher.key
    receipt = await account.chain.earlier_top_up(key, ref.owner, ref.channel, amount)
    if receipt is None:
        await paying_in.cover(account, amount, journal)
        await channel.check_funds(account, amount)
        receipt = await account.chain.top_up(key, ref.owner, ref.channel, amount)
    transaction = MinedTransaction.of(receipt)
    progress.done = FundResult(name, account.token, location.pod_channel, amount, transaction)
    after = await channel.look(account, ref)
    if after is not None:
        progress.done = replace(progress.done, channel=replace(location.pod_channel, live=after))
    return progress.done


async def close(
    account: MarketAccount, name: str, wait_s: float, progress: CloseProgress, journal: Journal
) -> CloseResult:
    """Get a channel's money back: give notice, and close it once that is over, if that is within *wait_s*.

    Every channel under the pod's name is taken, as a failed deploy may have left one elsewhere. Where all
    have ended before, the result says so.
    When it raises, *progress* has those that were seen to. Raises NetworkFailure (rule `timeout`) where a
    notice is not over by then.
    """
    deadline = trio.current_time() + wait_s if wait_s else None  # for its turn and its notice together
    async with in_turn(account, name, "close", journal, beside=("backup",)):  # money does not wait for one
        try:
            location, others = await find_pod(account, name, everywhere=True)
        except Refused as error:
            found = await gone_already(account, name, error)
            ended = ClosedChannel(found.channel.provider, found.channel.id, found.money)
            return CloseResult(name, account.token, (ended,), gone=True)
        progress.pod, progress.token = name, account.token
        for one in (location, *others):
            outcome = await _close(account, one, name, deadline, journal)
            progress.channels.append(ClosedChannel(ProviderId.of(one.row), one.ref.channel, outcome))
    return CloseResult(name, account.token, tuple(progress.channels))


async def _close(
    account: MarketAccount, location: PodLocation, name: str, deadline: float | None, journal: Journal
) -> DepositOutcome:
    noted = await refund.give_notice(account, location.ref, name, journal)
    while noted.state == "unlocking":
        current = await channel.look(account, location.ref)
        if current is None:
            return await refund.refunded(account, location.ref, journal)
        if current.unlock_at == 0:  # a deploy took the notice back, or opened the channel anew
            raise Locked(
                f"a newer deploy of {name!r} took the channel, and its notice is gone",
                rule="newer",
                hint=f"`trustedpods status {name}` says what serves",
            )
        head = await account.chain.head()
        if head.time >= current.unlock_at:
            ended = await closing.end(account, location.ref, journal)
            return ended or await refund.refunded(account, location.ref, journal)
        if deadline is None:
            return noted
        left_s = deadline - trio.current_time()
        if left_s <= 0:
            raise _not_over(name, current.unlock_at)
        await trio.sleep(min(left_s, LONGEST_LOOK_S, max(1, current.unlock_at - head.time)))
    return noted


def _not_over(name: str, unlock_at: int) -> NetworkFailure:
    return NetworkFailure(
        f"the notice runs until {moment(unlock_at)}",
        where=name,
        rule="timeout",
        hint=f"`trustedpods close {name}` gets the deposit then; `trustedpods watch` does so by itself",
    )


async def withdraw(
    account: MarketAccount, name: str | None, journal: Journal, *, to_payer: bool = False
) -> WithdrawResult:
    """Have the contract pay what it owes the key's address: refunds that its token refused to pay at once.

    *to_payer*: all tokens of the address go to the account's payer then; `BadInput` where there is none.
    It may be repeated: then nothing is owed, and nothing is there. With the *name* of a pod whose channel
    stands it raises Refused (rule `whole-deposit`): the contract gives no part of a deposit back, and the
    error says what does.
    """
    address = account.publisher.address
    if to_payer:
        paying_in.required_payer(account)
    if name is not None:
        location, _ = await find_pod(account, name, ended=True)
        if location.channel is not None:
            raise _whole(name, unlocks=bool(location.channel.unlock_at))
    owed = TokenUnits(await account.chain.owed(address))
    result = WithdrawResult(address, account.token, owed)
    if owed:
        receipt = await account.chain.withdraw(account.publisher.key, address)
        transaction = MinedTransaction.of(receipt)
        text = f"{account.token.rough(receipt.moved)} came"
        journal.event("withdrawn", text, **as_facts(transaction_json(transaction)))
        result = replace(result, paid=receipt.moved, transaction=transaction)
    return await paying_in.give_back(account, result, journal) if to_payer else result


def _whole(name: str, *, unlocks: bool) -> Refused:
    """Why a channel gives nothing back now: all of its deposit is what its provider counts on."""
    ends = f"`trustedpods delete {name}` ends the pod, and all that is left comes back at once"
    closes = f"its notice runs: `trustedpods close {name} --wait 30d` gets it when that is over"
    return Refused(
        f"the channel of {name} pays for it, and the contract gives no part of a deposit back",
        rule="whole-deposit",
        hint=closes if unlocks else ends,
    )


async def balance(account: MarketAccount) -> BalanceResult:
    """Tokens, coin for gas, and every channel that the publisher opened, as far as events tell."""
    address = account.publisher.address
    opened = await account.chain.opened_by(address)
    names = known_names(state_dir())
    return BalanceResult(
        publisher=address,
        token=account.token,
        balance=TokenUnits(await account.chain.token_balance(address)),
        gas_wei=await account.chain.gas_balance(address),
        owed=TokenUnits(await account.chain.owed(address)),
        channels=await _states(account, opened, names),
    )


async def _states(
    account: MarketAccount, opened: Sequence[OpenedChannel], names: Mapping[str, str]
) -> tuple[ChannelBalance, ...]:
    """Each of them, in their order; side by side, as each takes several questions to a node."""
    found: dict[int, ChannelBalance] = {}

    async def look(place: int, one: OpenedChannel) -> None:
        found[place] = await _state(account, one, names.get(channel_hex(one.channel)))

    async with open_nursery() as nursery:
        for place, one in enumerate(opened):
            nursery.start_soon(look, place, one)
    return tuple(found[place] for place in range(len(opened)))


async def _state(account: MarketAccount, opened: OpenedChannel, name: str | None) -> ChannelBalance:
    """One channel: open, unlocking, or closed with its refund."""
    (current,) = await account.chain.channels(opened.owner, [opened.channel])
    told = await account.chain.channel_events(
        opened.owner, opened.channel
    )  # later: it has a closed one's end
    closed = ChannelBalance(
        channel=opened.channel,
        name=name,
        owner=opened.owner,
        deposit=opened.amount,
        paid_in=TokenUnits(opened.amount + told.topped_up),
        opened_tx=opened.tx_hash,
        state="closed",
    )
    if current is not None:
        state: Literal["open", "unlocking"] = "unlocking" if current.unlock_at else "open"
        return replace(closed, state=state, left=current.left, unlock_at=current.unlock_at or None)
    if told.closed is None:
        return closed
    return replace(closed, refund=told.closed.refund, closed_tx=told.closed.tx_hash)
