# SPDX-License-Identifier: Apache-2.0
"""From the ledger to a signed, stored claim; `submission` carries it to the chain from there.

One claim is under way at a time. It is stored before it is sent, and sent again, byte for byte,
until the chain shows it; only the chain's `upTo` says where the next one begins.
"""

import hashlib
import logging
from dataclasses import dataclass

import trio

from trustedpods.contracts import merkle
from trustedpods.contracts.eip712 import Domain, sign_usage
from trustedpods.contracts.records import NEVER, Block, Channel, meter_tag
from trustedpods.contracts.settlement import allowance
from trustedpods.contracts.terms import due
from trustedpods.contracts.usage import UsageClaim, UsageItem
from trustedpods.protocol.errors import Refused, TrustedPodsError
from trustedpods.protocol.ids import Address, ChannelId
from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.billing.meter import Meter
from trustedpods.provider.billing.submission import ClaimSubmission
from trustedpods.provider.core import metering, settlement
from trustedpods.provider.core.pod import ChannelFact, Phase, PodRecord
from trustedpods.provider.doors import Doors
from trustedpods.provider.pods.records import Pods
from trustedpods.provider.store import claims, ledger
from trustedpods.provider.store.claims import ClaimState, StoredClaim

_log = logging.getLogger(__name__)

LOOK_EVERY_S = 2.0
LOOKS_PER_INTERVAL = 100
"""Where nothing was worth its gas yet, all books are read again after this part of the claim interval."""


@dataclass(frozen=True, slots=True)
class ClaimReport:
    """What an operator's claim did: items, the claim's root, its transaction, what was withdrawn."""

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
        self._operators: set[bytes] = set()
        self._not_before = UnixSeconds(0)

    @property
    def alarms(self) -> int:
        """Items for which less than their due was paid, since the start."""
        return self._sending.alarms

    def hurry(self, channel: ChannelId) -> None:
        """Claim this channel soon, not only when the interval is over."""
        self._hurry.add(channel)
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
        """Bring to its end what an earlier run sent, then look again and again; never returns."""
        try:
            async with self._turn:
                await self._doors.chain.resume(self._doors.operator_key)
        except TrustedPodsError as error:
            _log.warning("what was sent before the start is not final yet: %s", error)
        while True:
            try:
                await self.tick()
            except TrustedPodsError as error:
                _log.warning("settlement: %s", error)
            with trio.move_on_after(LOOK_EVERY_S):
                await self._knock.wait()
                await trio.sleep(0.2)
            self._knock = trio.Event()

    async def tick(self) -> None:
        """One look: carry a stored claim on, or cut the next one if it is time."""
        async with self._turn:
            claim = await self._doors.store.read(claims.open_claim)
            if claim is None:
                claim = await self._cut(forced=False)
            if claim is not None and (claim.state is not ClaimState.PREPARED or await self._may_send(claim)):
                await self._submission(claim)

    async def flush(self) -> None:
        """Send a claim that is signed and not yet mined, whichever boot's meter signed it."""
        async with self._turn:
            claim = await self._doors.store.read(claims.open_claim)
            if claim is not None and claim.state is not ClaimState.MINED:
                await self._submission(claim)

    async def claim(self, *, prepare: bool, withdraw: bool) -> ClaimReport:
        """The operator's verb: cut now; unless *prepare*, send it; with *withdraw*, pay out."""
        async with self._turn:
            claim = await self._doors.store.read(claims.open_claim)
            if claim is not None and claim.state is ClaimState.MINED:
                await self._submission(claim)
                claim = await self._doors.store.read(claims.open_claim)
            if claim is None:
                claim = await self._cut(forced=True)
            transaction = claim.tx if claim else None
            if claim is not None and not prepare:
                transaction = await self._submission(claim)
        withdrawn = await self._withdraw() if withdraw else 0
        return ClaimReport(
            len(claim.cuts) if claim else 0, claim.root if claim else None, transaction, withdrawn
        )

    async def _submission(self, claim: StoredClaim) -> bytes | None:
        """Carry a stored claim on; what was urgent in it has had its turn."""
        transaction = await self._sending.advance(claim)
        self._hurry -= {cut.channel for cut in claim.cuts}
        return transaction

    async def _withdraw(self) -> int:
        if await self._doors.chain.owed(self._doors.owner) == 0:
            return 0
        receipt = await self._doors.chain.withdraw(self._doors.operator_key, self._doors.owner)
        return receipt.moved

    async def _may_send(self, claim: StoredClaim) -> bool:
        """A claim that an operator prepared waits for the interval, unless something is urgent."""
        age = self._doors.now() - claim.created
        urgent = any(cut.release or cut.channel in self._hurry for cut in claim.cuts) or self._closing
        return bool(urgent) or age >= self._doors.config.terms.claim_interval_s or not self._held(claim)

    def _held(self, claim: StoredClaim) -> bool:
        return claim.root in self._operators

    # ---- cutting -----------------------------------------------------------------------------

    async def _cut(self, *, forced: bool) -> StoredClaim | None:
        records = [record for record in self._pods.standing if self._may_cut(record)]
        if not records or not (forced or await self._due_soon(records)):
            return None
        head = await self._doors.chain.head()
        observed = await self._meter.observe()
        ids = [record.channel for record in records]
        channels = await self._doors.chain.channels(self._doors.owner, ids)
        ours = [one for one in channels if one is not None and one.meter_tag == meter_tag(self._doors.meter)]
        books = await self._doors.store.read(ledger.load_ledgers, {one.id: one.up_to for one in ours})
        found = [self._candidate(channel, books[channel.id], observed, head) for channel in ours]
        timing = await self._timing()
        last = await self._doors.store.read(claims.last_claim_at)
        cuts = settlement.plan(found, timing, self._doors.now(), last, forced=forced)
        if cuts:  # bytes that pass from here on are left to the next claim
            mine = {cut.channel: cut.from_ for cut in cuts}
            books = await self._doors.store.write(ledger.close_and_load, mine, observed)
            found = [
                self._candidate(channel, books[channel.id], observed, head)
                for channel in ours
                if channel.id in mine
            ]
            cuts = settlement.plan(found, timing, self._doors.now(), last, forced=forced)
        chosen = {cut.channel for cut in cuts}
        self._hurry -= {c.channel for c in found if c.channel not in chosen and c.due == 0}
        claim = await self._store(cuts) if cuts else None
        pause = 0 if claim else self._doors.config.terms.claim_interval_s // LOOKS_PER_INTERVAL
        self._not_before = UnixSeconds(self._doors.now() + pause)
        if claim is not None and forced:
            self._operators.add(claim.root)
        return claim

    async def _timing(self) -> settlement.Timing:
        """The operator's rules at today's price of gas."""
        terms = self._doors.config.terms
        price = await self._doors.chain.gas_price() if terms.coin_price else 0
        fees = settlement.ClaimFees(price, terms.coin_price, terms.max_gas_percent)
        return settlement.Timing(terms.claim_interval_s, terms.min_claim, fees)

    def _may_cut(self, record: PodRecord) -> bool:
        """A pod that never served is not billed; its channel is only ever released."""
        return record.chain is not None and (record.served or record.channel in self._closing)

    async def _due_soon(self, records: list[PodRecord]) -> bool:
        """Spare the cluster a look when nothing can be cut anyway."""
        if self._closing or any(record.channel in self._hurry for record in records):
            return True
        if self._doors.now() < self._not_before:
            return False
        last = await self._doors.store.read(claims.last_claim_at)
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
            urgent=channel.id in self._hurry,
        )

    async def _store(self, cuts: list[settlement.Cut]) -> StoredClaim:
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
        await self._doors.store.write(
            claims.save_claim, root, signed.to_json().encode(), cuts, proofs, lives, now
        )
        claim = await self._doors.store.read(claims.open_claim)
        assert claim is not None
        return claim

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
