# SPDX-License-Identifier: Apache-2.0
"""`rotate`: a publisher's consent that this boot's meter takes over a channel, handed in on chain."""

from dataclasses import replace

import trio

from trustedpods.contracts.eip712 import Domain, Move, move_signer
from trustedpods.contracts.records import NEVER, Channel, meter_tag
from trustedpods.contracts.terms import Terms
from trustedpods.contracts.usage import ItemFlags
from trustedpods.protocol.codec import decode
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.ids import Address, PodRef, address_from_bytes
from trustedpods.protocol.messages.base import Done
from trustedpods.protocol.messages.rotation import RotateBody
from trustedpods.protocol.units import TokenUnits, UnixSeconds
from trustedpods.provider.admission.rights import CommandRights
from trustedpods.provider.billing.fees import note_fee
from trustedpods.provider.billing.settlement import Settlement
from trustedpods.provider.core.admission import check_channel
from trustedpods.provider.core.agreement import MoveBudget, check_move
from trustedpods.provider.core.pod import PodRecord
from trustedpods.provider.doors import Doors
from trustedpods.provider.pods.records import Pods
from trustedpods.provider.server.conversations import Request


class Rotations:
    """Hands in moves, one after another. A move that happened already is a success."""

    def __init__(self, doors: Doors, pods: Pods, rights: CommandRights, settlement: Settlement) -> None:
        self._doors = doors
        self._pods = pods
        self._rights = rights
        self._settlement = settlement
        self._turn = trio.Lock()
        self._budget = MoveBudget()

    async def rotate(self, request: Request) -> None:
        """Check everything that can be checked without gas, then hand it in; only for pods of these books."""
        body, ref = decode(request.opened.body, RotateBody), request.opened.ref
        record = self._rights.commanded_pod(request.opened)
        async with self._turn:
            transaction = await self._hand_in(record, body)
        if transaction is not None:
            await self._pods.note(ref.channel, "rotated", "the channel names this boot's meter now")
        done = Done(text="the channel names this boot's meter", transaction=transaction)
        await request.replies.send(done, final=True)

    async def _hand_in(self, record: PodRecord, body: RotateBody) -> bytes | None:
        """The transaction; None where the channel names this meter already."""
        ref = record.ref
        await self._doors.sending.passed()
        if self._is_mine(await self._channel(ref)):
            return None
        move = self._checked(ref, body)
        await self._settlement.flush(
            ref.channel
        )  # what the dead meter signed last counts only before the move
        channel = await self._channel(ref)
        check_move(move, channel, (await self._doors.chain.head()).time)
        self._check_worth(record, channel, move.old_meter)
        self._budget.spend(ref.channel, body.signature, self._doors.now())
        receipt, results = await self._doors.chain.rotate(
            self._doors.operator_key,
            ref.owner,
            move.old_meter,
            move.new_meter,
            [(ref.publisher, move, body.signature)],
        )
        await note_fee(self._doors, receipt.tx_hash)
        skipped = results[0].flags & ~ItemFlags.CUT_DEPOSIT if results else ItemFlags.FOREIGN
        if skipped and not self._is_mine(await self._channel(ref)):
            self._budget.failed(ref.channel)
            raise Refused(f"the contract did not move the channel: {skipped!s}", rule="not-moved")
        return receipt.tx_hash

    def _check_worth(self, record: PodRecord, channel: Channel, old_meter: Address) -> None:
        """Gas is spent on channels that pay for their pod; one that ends may still be claimed."""
        agreed = None if record.terms is None else Terms.unpack(record.terms)
        standing, now = replace(channel, unlock_at=NEVER), self._doors.now()
        check_channel(standing, self._doors.offer, old_meter, record.size, record.scaling, now, agreed)

    def _checked(self, ref: PodRef, body: RotateBody) -> Move:
        """The move, signed by the publisher: a wrong one would only cost the operator gas."""
        move = Move(
            owner=ref.owner,
            salt=ref.salt,
            old_meter=address_from_bytes(body.old_meter),
            new_meter=self._doors.meter,
            as_of=UnixSeconds(body.as_of),
            deadline=UnixSeconds(body.deadline),
            from_=UnixSeconds(body.from_),
            up_to=UnixSeconds(body.up_to),
            pay=TokenUnits(body.pay),
            whole=True,
        )
        market = self._doors.config.market
        domain = Domain.of_payments(market.chain_id, Address(market.payments))
        if move_signer(domain, move, body.signature) != ref.publisher:
            raise Refused("the move is not signed by the channel's publisher", rule="move-signature")
        return move

    async def _channel(self, ref: PodRef) -> Channel:
        channel = await self._doors.chain.channel(ref.owner, ref.channel)
        if channel is None:
            raise Refused("there is no such channel on chain", rule="channel-missing")
        return channel

    def _is_mine(self, channel: Channel) -> bool:
        return channel.meter_tag == meter_tag(self._doors.meter)
