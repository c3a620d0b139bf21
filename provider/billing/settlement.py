# SPDX-License-Identifier: Apache-2.0
"""From the ledger to a signed, stored claim; `submission` carries it to the chain from there.

Several claims are under way at a time, and no channel is in two of them. Each is stored before it is sent,
and sent again, byte for byte, until the chain shows it; only the chain's `upTo` says where a channel's next
period begins.
"""

import hashlib
import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass

import trio

from trustedpods.contracts import merkle
from trustedpods.contracts.eip712 import Domain, sign_usage
from trustedpods.contracts.records import NEVER, Block, Channel, meter_tag
from trustedpods.contracts.settlement import allowance
from trustedpods.contracts.terms import due
from trustedpods.contracts.usage import UsageClaim, UsageItem
from trustedpods.protocol.errors import NetworkFailure, Refused, TrustedPodsError
from trustedpods.protocol.ids import Address, ChannelId
from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.billing.fees import note_fee
from trustedpods.provider.billing.gas import HeldBack, plan_within
from trustedpods.provider.billing.meter import Meter
from trustedpods.provider.billing.submission import ClaimSubmission
from trustedpods.provider.billing.under_way import ClaimsUnderWay, TellFailure
from trustedpods.provider.core import metering, settlement
from trustedpods.provider.core.earnings.gas import next_day
from trustedpods.provider.core.pod import ChannelFact, Phase, PodRecord
from trustedpods.provider.doors import Doors
from trustedpods.provider.pods.records import Pods
from trustedpods.provider.store import claims, ledger
from trustedpods.provider.store.claims import ClaimState, StoredClaim

_log = logging.getLogger(__name__)

CUT_WITHIN_S = 120.0
"""Several times what 10,000 channels take; with a node or a cluster that hangs it never ends by itself."""

LOOK_EVERY_S = 2.0
LOOKS_PER_INTERVAL = 100
"""Where nothing was worth its gas yet, all books are read again after this part of the claim interval."""

GATHER_S = 0.2
GATHER_BEHIND_S = 2.0
"""What is urgent waits so long for others to share a claim; longer where claims are under way, as then many
come. Short beside any notice, and beside the time in which a claim is mined."""

CARRIED_AT_FULL_PACE = 8
"""So many claims are asked after at every look; more of them together ask the node no more often."""


@dataclass(frozen=True, slots=True)
class ClaimReport:
    """What an operator's claim did: items, the first claim's root and transaction, what was withdrawn."""

    items: int
    root: bytes | None
    transaction: bytes | None
    withdrawn: int


class Settlement:
    """Cuts and sends claims. Its calls may overlap; they wait for each other."""

    def __init__(self, doors: Doors, pods: Pods, meter: Meter) -> None:
        self._doors = doors
        self._pods = pods
        self._meter = meter
        self._turn = trio.Lock()
        self._hurry: set[ChannelId] = set()
        self._closing: dict[ChannelId, bool] = {}
        self._knock = trio.Event()
        self._sending = ClaimSubmission(doors, pods)
        self._under_way = ClaimsUnderWay(self._sending, self._landed)
        self._operators: set[bytes] = set()
        self._not_before = UnixSeconds(0)
        self._held_back = HeldBack(doors, pods)

    @property
    def alarms(self) -> int:
        """Items for which less than their due was paid, since the start."""
        return self._sending.alarms

    def hurry(self, channel: ChannelId) -> None:
        """Claim this channel soon, not only when the interval is over."""
        self._hurry.add(channel)
        self._held_back.forget(channel)
        self._knock.set()

    def close(self, channel: ChannelId, *, billed: bool) -> None:
        """The pod is wholly gone from the cluster: end its channel with a last item.

        Not *billed*: the last item is empty, as for a pod that never ran.
        """
        self._closing[channel] = billed
        self._knock.set()

    def closed(self, channel: ChannelId) -> None:
        """The chain no longer has the channel."""
        self._closing.pop(channel, None)
        self._hurry.discard(channel)

    async def run(self) -> None:
        """Bring to its end what an earlier run sent, and look again and again meanwhile; never returns."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._resume)
            while True:
                await self._look(nursery, _log_failure)
                pace = max(1, len(self._under_way.roots) / CARRIED_AT_FULL_PACE)
                with trio.move_on_after(LOOK_EVERY_S * pace):
                    await self._knock.wait()
                    await trio.sleep(GATHER_BEHIND_S if self._under_way.roots else GATHER_S)
                self._knock = trio.Event()

    async def _resume(self) -> None:
        """Nobody waits for it: who sends the same claim again goes on with the transaction that is out."""
        try:
            for transaction in await self._doors.chain.resume(self._doors.operator_key):
                await note_fee(self._doors, transaction)
        except TrustedPodsError as error:
            _log.warning("what was sent before the start is not final yet: %s", error)

    async def tick(self) -> None:
        """One look, to its end: carry stored claims on, and cut the next ones if it is time.

        Raises why the first of them failed, once all have had their turn.
        """
        failures: list[TrustedPodsError] = []
        async with trio.open_nursery() as nursery:
            await self._look(nursery, failures.append)
        if failures:
            raise failures[0]

    async def _look(self, nursery: trio.Nursery, failed: TellFailure) -> None:
        """What is under way is carried on in *nursery*; what is cut now too.

        The first does not wait for the second, nor end with it.
        """
        try:
            for claim in await self._doors.store.read(claims.open_claims, self._under_way.roots):
                if claim.state is not ClaimState.PREPARED or self._may_send(claim):
                    self._under_way.start(nursery, claim, failed)
            async with self._turn:
                made = await self._cut_in_time(forced=False)
            for claim in made:
                self._under_way.start(nursery, claim, failed)
        except TrustedPodsError as error:
            failed(error)

    async def _cut_in_time(
        self, *, forced: bool, asked: Collection[ChannelId] | None = ()
    ) -> list[StoredClaim]:
        """A cut that hangs is given up, and begun anew at the next look: each of its writes is whole.

        What it had stored by then is found there. A fault in it is logged, and ends nothing else.
        """
        try:
            with trio.fail_after(CUT_WITHIN_S):
                return await self._cut(forced=forced, asked=asked)
        except trio.TooSlowError:
            raise NetworkFailure(f"no claim was cut within {CUT_WITHIN_S:g} s; it is tried again") from None
        except TrustedPodsError:
            raise
        except Exception:  # noqa: BLE001 - whatever it is, signed claims must not stop with it
            _log.exception("no claim was cut; those that are stored go on")
            return []

    async def flush(self, channel: ChannelId) -> None:
        """Send what is signed of this channel and not yet mined, whichever boot's meter signed it."""
        found = await self._open(ClaimState.PREPARED, ClaimState.SENT)
        await self._under_way.carry(_those_of({channel}, found))

    async def claim(
        self, *, prepare: bool, withdraw: bool, channels: Collection[ChannelId] | None = None
    ) -> ClaimReport:
        """The operator's verb: cut now; unless *prepare*, send it; with *withdraw*, pay out.

        With *channels* it is told of the claims that hold these, and waits for no others: they go with the
        next look. Raises why one of these failed; why another did is logged.
        """
        mined = _those_of(channels, await self._open(ClaimState.MINED))
        await self._under_way.carry(mined, _log_failure)
        async with self._turn:
            made = _those_of(channels, await self._cut_in_time(forced=True, asked=channels))
        told = made or _those_of(channels, await self._open(*claims.OPEN_STATES))
        transaction = told[0].tx if told else None
        if not prepare:
            transaction = await self._send_out(told, others=channels is None)
        withdrawn = await self._withdraw() if withdraw else 0
        items = sum(len(claim.cuts) for claim in told)
        return ClaimReport(items, told[0].root if told else None, transaction, withdrawn)

    async def _send_out(self, told: list[StoredClaim], *, others: bool) -> bytes | None:
        """Send what is told of and, with *others*, all that was only prepared; the first's transaction."""
        self._operators.clear()
        self._knock.set()
        own, failures = {claim.root for claim in told}, list[TrustedPodsError]()
        async with trio.open_nursery() as nursery:
            if others:
                unsent = [one for one in await self._open(ClaimState.PREPARED) if one.root not in own]
                nursery.start_soon(self._under_way.carry, unsent, _log_failure)
            found = await self._under_way.carry(told, failures.append)
        if failures:
            raise failures[0]
        return found.get(told[0].root) if told else None

    async def _open(self, *states: ClaimState) -> list[StoredClaim]:
        return [one for one in await self._doors.store.read(claims.open_claims) if one.state in states]

    def _landed(self, claim: StoredClaim) -> None:
        """What was urgent in it has had its turn."""
        self._hurry -= {cut.channel for cut in claim.cuts}

    async def _withdraw(self) -> int:
        await self._doors.sending.passed()
        if await self._doors.chain.owed(self._doors.owner) == 0:
            return 0
        receipt = await self._doors.chain.withdraw(self._doors.operator_key, self._doors.owner)
        await note_fee(self._doors, receipt.tx_hash)
        return receipt.moved

    def _may_send(self, claim: StoredClaim) -> bool:
        """A claim that an operator prepared waits for the interval, unless something is urgent."""
        age = self._doors.now() - claim.created
        urgent = any(cut.release or cut.channel in self._hurry for cut in claim.cuts) or self._closing
        return bool(urgent) or age >= self._doors.config.terms.claim_interval_s or not self._held(claim)

    def _held(self, claim: StoredClaim) -> bool:
        return claim.root in self._operators

    # ---- cutting -----------------------------------------------------------------------------

    async def _cut(self, *, forced: bool, asked: Collection[ChannelId] | None) -> list[StoredClaim]:
        """Claims over channels that are in none yet, stored; the caller has the turn."""
        known = await self._doors.store.read(claims.claims_now)
        standing = [one for one in self._pods.standing if self._may_cut(one)]
        self._held_back.keep({one.channel for one in standing})
        records = [one for one in standing if one.channel not in known.channels]
        room = settlement.MAX_UNDER_WAY - known.under_way
        if room <= 0 or not records or not (forced or self._due_soon(records, known.last_at)):
            return []
        head = await self._doors.chain.head()
        observed = await self._meter.observe()
        ids = [record.channel for record in records]
        channels = await self._doors.chain.channels(self._doors.owner, ids)
        ours = [one for one in channels if one is not None and one.meter_tag == meter_tag(self._doors.meter)]
        timing, now = await self._timing(), self._doors.now()
        last = await self._doors.store.read(claims.last_claim_at)

        starts = {one.id: one.up_to for one in ours}
        books = await self._doors.store.read(ledger.load_ledgers, starts)
        found = [self._candidate(channel, books[channel.id], observed, head) for channel in ours]
        planned = settlement.plan_all(found, timing, now, last, forced=forced, most=room)
        affordable = await plan_within(self._doors, planned, found, asked=asked)
        await self._held_back.note(affordable, {one.id: one.unlock_at for one in ours}, early=forced)
        batches = [batch.cuts for batch in affordable.batches]
        chosen = {cut.channel: cut.from_ for cuts in batches for cut in cuts}
        kept = chosen.keys() | affordable.waiting
        self._hurry -= {c.channel for c in found if c.channel not in kept and c.due == 0}
        if chosen:  # bytes that pass from here on are left to the next claims
            books = await self._doors.store.write(ledger.close_and_load, chosen, observed)
            now_known = [
                self._candidate(one, books[one.id], observed, head) for one in ours if one.id in chosen
            ]
            batches = settlement.again(batches, now_known)
        worst = {cut.channel: batch.worst for batch in affordable.batches for cut in batch.cuts}
        made = [await self._store(cuts, held=forced, gas_wei=worst[cuts[0].channel]) for cuts in batches]
        self._not_before = self._next_look(looked_in_vain=not made or bool(affordable.waiting))
        return made

    def _next_look(self, *, looked_in_vain: bool) -> UnixSeconds:
        """When all books are read again, unless something urgent comes; a new day has its own gas."""
        now = self._doors.now()
        if not looked_in_vain:
            return now
        soon = UnixSeconds(now + self._doors.config.terms.claim_interval_s // LOOKS_PER_INTERVAL)
        return min(soon, next_day(now)) if self._held_back.channels else soon

    async def _timing(self) -> settlement.Timing:
        """The operator's rules at today's price of gas."""
        terms = self._doors.config.terms
        price = await self._doors.chain.gas_price() if terms.coin_price else 0
        fees = settlement.ClaimFees(price, terms.coin_price, terms.max_gas_percent)
        return settlement.Timing(terms.claim_interval_s, terms.min_claim, fees)

    def _may_cut(self, record: PodRecord) -> bool:
        """A pod that never served is not billed; its channel is only ever released."""
        return record.chain is not None and (record.served or record.channel in self._closing)

    def _due_soon(self, records: list[PodRecord], last: UnixSeconds) -> bool:
        """Spare the cluster a look when nothing can be cut anyway."""
        hurried = self._hurry - self._held_back.channels
        if any(one.channel in self._closing or one.channel in hurried for one in records):
            return True
        if any(self._held_back.notice_came(one) for one in records):
            return True
        if self._doors.now() < self._not_before:
            return False
        if self._held_back.channels:
            return True
        begun = (record.chain.up_to for record in records if record.chain is not None)
        return settlement.is_time(begun, self._doors.config.terms.claim_interval_s, self._doors.now(), last)

    def _candidate(
        self, channel: Channel, book: metering.Ledger, observed: UnixSeconds, head: Block
    ) -> settlement.ClaimCandidate:
        running = any(run.ended is None for run in book.runs)
        pending = self._meter.pending_since(channel.id)
        up_to = metering.horizon(observed, head.time, running=running, pending_since=pending)
        release = channel.id in self._closing and not running
        period = metering.count(book, channel.up_to, up_to)
        usage, terms = period.usage, self._doors.config.terms
        if period.excess_s > metering.longest_overlap(max(terms.start_limit_s, terms.max_start_s)):
            text = "%#x: more replicas than may run, for %d s; only scale.max are billed"
            _log.error(text, channel.id, period.excess_s)
        if release and not self._closing[channel.id]:
            usage = type(usage)()
        return settlement.ClaimCandidate(
            channel=channel.id,
            from_=channel.up_to,
            up_to=up_to,
            usage=usage,
            due=due(usage, channel.terms.prices),
            left=channel.left,
            allowed=allowance(channel, up_to) if up_to > channel.up_to else 0,
            release=release,
            leaving=channel.unlock_at != NEVER,
            ends_at=None if channel.unlock_at == NEVER else channel.unlock_at,
            urgent=channel.id in self._hurry,
        )

    async def _store(self, cuts: list[settlement.Cut], *, held: bool, gas_wei: int) -> StoredClaim:
        market, owner = self._doors.config.market, self._doors.owner
        payments = Address(market.payments)
        items = [UsageItem(c.channel, c.from_, c.up_to, c.usage, c.release, whole=c.whole) for c in cuts]
        leaves = [merkle.leaf(market.chain_id, payments, owner, item) for item in items]
        head = merkle.head_leaf(market.chain_id, payments, owner, await self._head_digest(leaves))
        root = merkle.root([*leaves, head])
        proofs = merkle.proofs([*leaves, head])[:-1]
        refs = tuple(self._record(cut.channel).ref for cut in cuts if cut.release)
        unsigned = UsageClaim(owner, root, tuple(items), refs)
        domain = Domain.of_payments(market.chain_id, payments)
        signed = await trio.to_thread.run_sync(sign_usage, self._doors.keys.meter, domain, unsigned)
        now = self._doors.now()
        lives = {cut.channel: self._record(cut.channel).life for cut in cuts}
        if held:  # before a look can find it
            self._operators.add(root)
        await self._doors.store.write(
            claims.save_claim, root, signed.to_json().encode(), cuts, proofs, lives, now, gas_wei or None
        )
        return await self._doors.store.read(claims.load_claim, root)

    async def _head_digest(self, leaves: list[bytes]) -> bytes:
        """Chains each report to the one before, so that no past one can be left out later."""
        before = await self._doors.store.read(claims.last_root)
        return hashlib.sha256(before + b"".join(leaves)).digest()

    def _record(self, channel: ChannelId) -> PodRecord:
        record = self._pods.get(channel)
        assert record is not None
        return record

    async def wait_released(self, record: PodRecord, *, billed: bool) -> None:
        """Have the pod's channel ended and refunded; returns when the chain no longer has it.

        A channel that another boot's meter counts cannot be ended from here: it is left to its
        publisher.
        """
        while True:
            channel = await self._doors.chain.channel(self._doors.owner, record.channel)
            if channel is None or channel.meter_tag != meter_tag(self._doors.meter):
                self.closed(record.channel)
                return
            if record.phase is not Phase.REMOVING:
                raise Refused("the pod is not being removed", rule="phase")
            fact = ChannelFact.of(channel)
            await self._pods.learn(record.channel, chain=fact)
            self.close(record.channel, billed=billed)
            await trio.sleep(0.5)


def _those_of(channels: Collection[ChannelId] | None, found: Iterable[StoredClaim]) -> list[StoredClaim]:
    """Claims with an item of one of *channels*; None means all."""
    return [one for one in found if channels is None or any(cut.channel in channels for cut in one.cuts)]


def _log_failure(error: TrustedPodsError) -> None:
    _log.warning("settlement: %s", error)
