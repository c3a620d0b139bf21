# SPDX-License-Identifier: Apache-2.0
"""What the payment contract and its events say."""

from collections.abc import Iterable, Sequence

from trustedpods.contracts.client.base import ChainBase
from trustedpods.contracts.client.rpc.contract import Event
from trustedpods.contracts.records import (
    Channel,
    ChannelEvents,
    ClosedInfo,
    GasFee,
    OpenedChannel,
    OwnerTotals,
    Rebuilt,
    Submission,
)
from trustedpods.contracts.terms import Terms
from trustedpods.contracts.usage import SubmissionResult
from trustedpods.protocol.errors import LocalProtocolError, NetworkFailure
from trustedpods.protocol.ids import Address, ChannelId, PodRef, address_bytes, keccak256
from trustedpods.protocol.units import TokenUnits, UnixSeconds

STATUS_BATCH = 500
"""Channels in one call: two words each, far below what nodes allow."""

MAX_OPENING = 32 * 1024
"""Bytes of a transaction in which a salt is looked for: some two hundred channels opened at once."""

_WORD = 32
_HEAD = 2 * _WORD
_STATUS = keccak256(b"status(address,uint256[])")[:4]


class PaymentViews(ChainBase):
    """State by views; history by events, which are only hints: nodes forget and limit them."""

    async def channels(self, owner: Address, ids: Sequence[ChannelId]) -> list[Channel | None]:
        """State of many channels, in order; None means *read, and not there*."""
        found: list[Channel | None] = []
        for start in range(0, len(ids), STATUS_BATCH):
            batch = ids[start : start + STATUS_BATCH]
            call = _status_call(owner, batch)
            raw = await self._node.read(self._node.eth_call, self.market.payments, call)
            found += _status_answer(batch, raw)
        return found

    async def channel(self, owner: Address, channel: ChannelId) -> Channel | None:
        """State of one channel; None means *read, and not there*."""
        (found,) = await self.channels(owner, [channel])
        return found

    async def owed(self, who: Address) -> TokenUnits:
        """What `withdraw` would pay."""
        _, amount = await self._call(self._payments.functions.accounts(who))
        return TokenUnits(amount)

    async def payout(self, who: Address) -> Address:
        """Where `withdraw` pays it."""
        to, _ = await self._call(self._payments.functions.accounts(who))
        return who if int(to, 16) == 0 else Address(to)

    async def owner_totals(self, owner: Address) -> OwnerTotals:
        """What *owner* was ever credited for claims and moves, and paid out; hints, as nodes forget."""
        submitted = await self._logs(self._payments, "UsageSubmitted", owner=owner)
        rotated = await self._logs(self._payments, "Rotated", owner=owner)
        withdrawn = await self._logs(self._payments, "Withdrawn", who=owner)
        return OwnerTotals(
            TokenUnits(sum(event.args["paid"] for event in [*submitted, *rotated])),
            TokenUnits(sum(event.args["amount"] for event in withdrawn)),
            sum(event.args["paid"] > 0 for event in submitted),
        )

    async def fee(self, tx_hash: bytes) -> GasFee | None:
        """What a mined transaction cost its sender; None where the node has forgotten it, or its price."""
        mined = await self._node.read(self._node.eth.receipt, tx_hash)
        if mined is None or mined.sender is None or mined.gas_price is None:
            return None
        block = await self._node.read(self._node.eth.block, mined.block)
        wei = mined.gas_used * mined.gas_price
        return GasFee(mined.sender, mined.gas_used, wei, UnixSeconds(block.timestamp))

    async def channel_events(self, owner: Address, channel: ChannelId) -> ChannelEvents:
        """What events tell of the latest life of a channel; hints, as nodes forget."""
        filters = {"owner": owner, "id": channel}
        opened = await self._logs(self._payments, "Opened", **filters)
        start = _place(opened[-1]) if opened else (0, 0)
        closed = [e for e in await self._logs(self._payments, "Closed", **filters) if _place(e) > start]
        topped = [e for e in await self._logs(self._payments, "ToppedUp", **filters) if _place(e) > start]
        block = await self._node.read(self._node.eth.block, start[0]) if opened else None
        return ChannelEvents(
            opened=TokenUnits(opened[-1].args["amount"]) if opened else None,
            topped_up=TokenUnits(sum(event.args["amount"] for event in topped)),
            open_tx=opened[-1].tx_hash if opened else None,
            closed=_closed(closed[-1]) if closed else None,
            opened_at=UnixSeconds(block.timestamp) if block else None,
        )

    async def closed(self, owner: Address, channel: ChannelId) -> ClosedInfo | None:
        """How the channel ended, if it did since it was last opened; a hint."""
        return (await self.channel_events(owner, channel)).closed

    async def meters(self, owner: Address, channel: ChannelId) -> list[Address]:
        """Meters that events name for a channel, in its latest life, oldest first; hints, as nodes forget."""
        opened = await self._logs(self._payments, "Opened", owner=owner, id=channel)
        if not opened:
            return []
        found = [Address(opened[-1].args["meter"])]
        for event in await self._logs(self._payments, "Rotated", owner=owner):
            results = (SubmissionResult.from_word(word) for word in event.args["results"])
            if _place(event) > _place(opened[-1]) and any(result.is_for(channel) for result in results):
                found.append(Address(event.args["newMeter"]))
        return found

    async def opened_by(self, publisher: Address) -> list[OpenedChannel]:
        """Channels that *publisher* opened, oldest first, each in its latest life; hints."""
        latest: dict[tuple[Address, ChannelId], OpenedChannel] = {}
        for event in await self._logs(self._payments, "Opened", publisher=publisher):
            arguments = event.args
            place = (Address(arguments["owner"]), ChannelId(arguments["id"]))
            latest.pop(place, None)
            latest[place] = OpenedChannel(
                *place,
                Terms.unpack(arguments["terms"]),
                TokenUnits(arguments["amount"]),
                event.tx_hash,
                event.block,
            )
        return list(latest.values())

    async def rebuild(
        self,
        *,
        owner: Address | None = None,
        publisher: Address | None = None,
        known: Iterable[tuple[Address, ChannelId]] = (),
    ) -> Rebuilt:
        """The live channels of a provider (*owner*) or of a *publisher*, whatever was lost here.

        Whether a channel lives, and what it holds, is read by a view. The contract enumerates
        nothing, so the places to look at are *known* ones (a provider's books; a publisher derives
        its own from its key, the registry's rows and its pods' names) and, as a hint, events.
        Raises `NetworkFailure` when a view cannot be read.
        """
        filters = {"owner": owner, "publisher": publisher}
        asked = {name: who for name, who in filters.items() if who is not None}
        if not asked:
            raise LocalProtocolError("whose channels?")
        places, hints = dict.fromkeys(known), True
        try:
            opened = await self._logs(self._payments, "Opened", **asked)
        except NetworkFailure:
            opened, hints = [], False
        places |= dict.fromkeys((Address(e.args["owner"]), ChannelId(e.args["id"])) for e in opened)
        by_owner: dict[Address, list[ChannelId]] = {}
        for place_owner, channel in places:
            by_owner.setdefault(place_owner, []).append(channel)
        live = {
            (place_owner, channel.id): channel
            for place_owner, ids in by_owner.items()
            for channel in await self.channels(place_owner, ids)
            if channel is not None
        }
        return Rebuilt(live, hints)

    async def salt_of(self, publisher: Address, opened: OpenedChannel) -> bytes | None:
        """The salt of a channel that *publisher* opened, found in the transaction that did; a hint.

        It is the only one of its 32 bytes in a row that make the channel's id. None where there are none.
        """
        raw = (await self._node.read(self._node.eth.transaction_data, opened.tx_hash))[:MAX_OPENING]
        salts = (raw[at : at + _WORD] for at in range(len(raw) - _WORD + 1))
        return next(
            (salt for salt in salts if PodRef(opened.owner, publisher, salt).channel == opened.channel), None
        )

    async def submissions(self, owner: Address, root: bytes) -> bytes | None:
        """Hash of the transaction that submitted the batch with this root; a hint."""
        found = await self.submitted(owner, root)
        return found[0].tx_hash if found else None

    async def submitted(self, owner: Address, root: bytes) -> list[Submission]:
        """Every mined submission of the batch with this root, oldest first; hints, as nodes forget."""
        found = await self._logs(self._payments, "UsageSubmitted", owner=owner, root=root)
        return [
            Submission(
                event.tx_hash,
                event.block,
                tuple(SubmissionResult.from_word(word) for word in event.args["results"]),
            )
            for event in found
        ]


def _status_call(owner: Address, ids: Sequence[ChannelId]) -> bytes:
    """Calldata of `status`, put together here: a provider asks every second or two, for all its pods."""
    words = (_HEAD, len(ids), *ids)
    return _STATUS + address_bytes(owner).rjust(_WORD, b"\0") + b"".join(w.to_bytes(_WORD) for w in words)


def _status_answer(ids: Sequence[ChannelId], raw: bytes) -> list[Channel | None]:
    """Its answer: an array of (hot, terms), one for each of *ids*."""
    if len(raw) != _HEAD + 2 * _WORD * len(ids) or int.from_bytes(raw[_WORD:_HEAD]) != len(ids):
        raise NetworkFailure("the chain node answered for another number of channels")
    words = [int.from_bytes(raw[at : at + _WORD]) for at in range(_HEAD, len(raw), _WORD)]
    pairs = zip(ids, words[::2], words[1::2], strict=True)
    return [Channel.from_words(channel, hot, terms) for channel, hot, terms in pairs]


def _place(event: Event) -> tuple[int, int]:
    return event.block, event.index


def _closed(event: Event) -> ClosedInfo:
    arguments = event.args
    return ClosedInfo(
        refund=TokenUnits(arguments["refunded"]),
        pushed=arguments["pushed"],
        tx_hash=event.tx_hash,
        block=event.block,
    )
