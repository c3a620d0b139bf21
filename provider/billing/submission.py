# SPDX-License-Identifier: Apache-2.0
"""Carries a stored claim to the chain and sees what became of it.

Nothing that is decided here hangs on what this process remembers: what was sent, mined, paid or set
back is read from the chain each time, so a kill at any moment changes nothing but the time.
"""

import logging
import math

import trio

from trustedpods.contracts.records import Channel, Submission, meter_tag
from trustedpods.contracts.settlement import settle
from trustedpods.contracts.usage import ItemFlags, SignedClaim, SubmissionResult, UsageItem
from trustedpods.protocol.ids import ChannelId
from trustedpods.provider.billing.channel_watch import departure_of
from trustedpods.provider.billing.fees import note_fee
from trustedpods.provider.core import settlement
from trustedpods.provider.core.pod import ChannelFact
from trustedpods.provider.doors import Doors
from trustedpods.provider.pods.records import Pods
from trustedpods.provider.store import claims
from trustedpods.provider.store.claims import ClaimOutcome, ClaimState, StoredClaim

_log = logging.getLogger(__name__)

LEAVING_MARGIN_S = 120
"""A claim goes so long before the publisher may close one of its channels, whatever a former operator's key
has under way: time to mine it several times. Should both land, the contract pays a period once."""

LEAVING_LOOK_S = 10.0
"""A publisher may announce it while the claim waits."""


class ClaimSubmission:
    """One claim's way through prepared, sent, mined and final; `advance` may be repeated for ever."""

    def __init__(self, doors: Doors, pods: Pods) -> None:
        self._doors = doors
        self._pods = pods
        self.alarms = 0
        """Items for which less than their due was paid, since the start."""

    async def now(self, root: bytes) -> StoredClaim:
        """The claim as it is stored now."""
        return await self._doors.store.read(claims.load_claim, root)

    async def advance(self, claim: StoredClaim) -> bytes | None:
        """Send, or see that it landed; returns the transaction if there is one.

        The head is read first: what is seen after it and lies deep under it is final.
        """
        await self._may_go(claim)
        head = (await self._doors.chain.head()).number
        facts = await self._facts([cut.channel for cut in claim.cuts])
        signed = SignedClaim.from_json(claim.signed.decode())
        tag = meter_tag(signed.meter)
        items = zip(claim.cuts, signed.claim.items, strict=True)
        fate = settlement.verdict(_judge(cut, item, facts[cut.channel], tag) for cut, item in items)
        sent = [await self._send(claim, signed)] if fate is settlement.Fate.PENDING else []
        mined = [*await self._doors.chain.submitted(self._doors.owner, claim.root), *sent]
        results = settlement.outcomes(len(claim.cuts), mined)
        if results is not None and any(settlement.written(result) for result in results):
            return await self._landed(claim, head, _carrier(mined), results)
        if fate is settlement.Fate.LANDED:  # the node has forgotten the event, and the state shows it
            return await self._landed(claim, head, None, [])
        if fate is settlement.Fate.LOST:
            _log.warning("claim %s can no longer land; it is cut anew", claim.root.hex()[:16])
            for one in mined:
                if head >= one.block + self._doors.config.market.finality_blocks or one in sent:
                    await note_fee(self._doors, one.tx_hash)
            await self._doors.store.write(
                claims.settle_claim, claim.root, ClaimState.LOST, claim.tx, claim.block, []
            )
        return sent[0].tx_hash if sent else None

    async def _may_go(self, claim: StoredClaim) -> None:
        """Wait for a former operator's key, but not until a channel of the claim may be closed without it."""
        while self._doors.sending.is_shut and self._time_left(claim) > 0:
            with trio.move_on_after(LEAVING_LOOK_S):
                await self._doors.sending.passed()

    def _time_left(self, claim: StoredClaim) -> float:
        """Seconds until a channel of the claim may be closed without it, as far as the pods' records say."""
        chains = [record.chain for cut in claim.cuts if (record := self._pods.get(cut.channel)) is not None]
        ends = [chain.unlock_at for chain in chains if chain is not None and chain.unlock_at]
        return min(ends, default=math.inf) - LEAVING_MARGIN_S - self._doors.now()

    async def _facts(self, ids: list[ChannelId]) -> dict[ChannelId, Channel | None]:
        channels = await self._doors.chain.channels(self._doors.owner, ids)
        return dict(zip(ids, channels, strict=True))

    async def _send(self, claim: StoredClaim, signed: SignedClaim) -> Submission:
        """Send the signed bytes as they lie in the store, whether or not they went out before."""
        await self._doors.store.write(claims.mark_claim, claim.root, ClaimState.SENT)
        receipt, results = await self._doors.chain.submit_usage_for(
            self._doors.operator_key, self._doors.owner, signed
        )
        return Submission(receipt.tx_hash, receipt.block, tuple(results))

    async def _landed(
        self, claim: StoredClaim, head: int, carrier: Submission | None, results: list[SubmissionResult]
    ) -> bytes | None:
        """It is on chain: final once it lies deep enough, by whichever transaction it got there."""
        block = carrier.block if carrier else claim.block if claim.block is not None else head
        final = head >= block + self._doors.config.market.finality_blocks
        transaction = carrier.tx_hash if carrier else claim.tx
        outcomes = [
            ClaimOutcome(cut.channel, int(result.flags), result.paid)
            for cut, result in zip(claim.cuts, results, strict=bool(results))
        ]
        state = ClaimState.FINAL if final else ClaimState.MINED
        if final and transaction is not None:  # before: what is final is not looked at again
            await note_fee(self._doors, transaction)
        new = await self._doors.store.write(
            claims.settle_claim, claim.root, state, transaction, block, outcomes
        )
        for outcome in new:
            await self._tell(outcome)
        await self._refresh(claim)
        return transaction

    async def _tell(self, outcome: ClaimOutcome) -> None:
        """Count what was paid, and say aloud where it was less than was due."""
        bad = ItemFlags(outcome.flags) & ~ItemFlags.RELEASED
        self._doors.metrics.item_paid(outcome.paid, whole=not bad)
        if not bad:
            return
        self.alarms += 1
        record = self._pods.get(outcome.channel)
        label = record.label if record else "a pod that is gone"
        _log.warning("ALARM: claim of %s: %s, paid %d", label, bad, outcome.paid)
        if record is not None:
            await self._pods.note(outcome.channel, "claim-flags", f"{bad!s}: {outcome.paid} base units paid")

    async def _refresh(self, claim: StoredClaim) -> None:
        """The pods' records show what is left now."""
        facts = await self._facts([cut.channel for cut in claim.cuts])
        for channel, found in facts.items():
            record = self._pods.get(channel)
            if found is None or record is None:
                continue
            if await departure_of(self._doors.store, record, found) is None:
                await self._pods.learn(channel, chain=ChannelFact.of(found))


def _judge(cut: settlement.Cut, item: UsageItem, channel: Channel | None, meter: int) -> settlement.Fate:
    """The signer may be the meter of an earlier boot: it counts while the channel names it."""
    if channel is None:
        return settlement.judge(cut, None)
    held = ItemFlags.DRY in settle(channel, item, meter, item.up_to).result.flags
    return settlement.judge(cut, ChannelFact.of(channel), ours=channel.meter_tag == meter, payable=not held)


def _carrier(mined: list[Submission]) -> Submission:
    """The transaction that wrote; of several the first."""
    return next(one for one in mined if any(settlement.written(result) for result in one.results))
