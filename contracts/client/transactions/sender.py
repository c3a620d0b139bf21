# SPDX-License-Identifier: Apache-2.0
"""Sending: signs, writes down, hands in, and watches until final. `pending_transactions` decides.

A transaction that is not final in time is a `NetworkFailure` that says its hash: it may still be
mined. Asking for the same thing again meets it instead of doing it twice; see
`pending_transactions.adoptable`.
"""

import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeAlias

import trio

from trustedpods.contracts.client.errors import RpcError, means_nonce_taken
from trustedpods.contracts.client.node import Node
from trustedpods.contracts.client.rpc.answers import Mined
from trustedpods.contracts.client.rpc.methods import CallRequest
from trustedpods.contracts.client.signers.signer import SigningKey, address_with, signs_at_once
from trustedpods.contracts.client.transactions.journals import TransactionJournal
from trustedpods.contracts.client.transactions.outbox import Outbox
from trustedpods.contracts.client.transactions.pending_transactions import (
    Call,
    Do,
    Fees,
    Final,
    Outgoing,
    Step,
    adoptable,
    decide,
    forgettable,
    gap_before,
    next_nonce,
    raised,
    sent_at,
    with_form,
)
from trustedpods.contracts.client.transactions.permit_lock import PermitLock, permit_turn
from trustedpods.contracts.client.transactions.raw_transactions import NodeAnswer, Wire
from trustedpods.contracts.records import Receipt
from trustedpods.protocol.errors import NetworkFailure, TrustedPodsError
from trustedpods.protocol.ids import Address, keccak256

_log = logging.getLogger(__name__)

Settled: TypeAlias = tuple[Receipt, Mined]
"""A final receipt, and as the node gave it."""

MINED_WITHIN_S = 90.0
"""How long a call waits for its transaction to be mined."""

BLOCK_WITHIN_S = 30.0
"""Beyond that, how long for each block of finality: over twice the slowest chains' pace."""

PLAIN_GAS = 21_000
"""Gas of a transaction that does nothing; every chain with Ethereum's rules asks for this."""

_FIRST_POLL_S = 0.05
_NONCE_ATTEMPTS = 5

_outboxes: dict[tuple[TransactionJournal | str, str], Outbox] = {}


@dataclass(frozen=True, slots=True)
class Waiting:
    """How long and how deep: see `Market.finality_blocks`."""

    mined_within_s: float = MINED_WITHIN_S
    finality: int = 0

    @property
    def limit_s(self) -> float:
        """How long a call waits in all."""
        return self.mined_within_s + self.finality * BLOCK_WITHIN_S


class Sender:
    """Sends for any key, and keeps what is unfinished in *journal*, or in memory only."""

    def __init__(
        self,
        node: Node,
        chain_id: int,
        waiting: Waiting | None = None,
        journal: TransactionJournal | None = None,
    ) -> None:
        self._node = node
        self._limits = node.limits
        self._chain_id = chain_id
        self._waiting = waiting or Waiting()
        self._wire = Wire(node, chain_id, self._waiting.finality)
        self._journal = journal
        self._genesis: bytes | None = None

    async def send(
        self,
        key: SigningKey,
        call: CallRequest,
        intent: bytes | None = None,
        *,
        least_gas: int = 0,
        mined: Callable[[], None] | None = None,
    ) -> Settled:
        """Send *call* and wait until it is final.

        *intent* names the deed where the call's bytes differ each time, as those with permits do.
        *least_gas* is for calls that may do less where they are estimated than where they are mined.
        *mined* is called whenever it is seen in a block that is not final yet.
        Raises `Refused` or `InsufficientFunds` when it would revert or did, `NetworkFailure` when
        it is not known what became of it.
        """
        intent = intent or intent_of("call", call.to, call.value, call.data)
        before = await self.adopted(key, intent)
        if before is not None:
            return before
        sender = address_with(key)
        wanted = await self._node.read(self._wire.estimate, sender, call, least_gas)
        fees = await self._node.read(self._wire.fees)
        box = await self._outbox(sender)
        async with box.turn:
            out = await self._node.write(self._launch, box, key, wanted, intent, fees)
            box.attended.add(out.id)
        return await self._conclude(box, key, out, mined)

    @asynccontextmanager
    async def permit_turn(self, key: SigningKey) -> AsyncIterator[PermitLock]:
        """The right to sign the key's next permit; see `permit_turn`."""
        box = await self._outbox(address_with(key))
        async with permit_turn(box.permits, box.permits_lock) as turn:
            yield turn

    async def adopted(self, key: SigningKey, intent: bytes) -> Settled | None:
        """Bring an unfinished attempt at the same deed to its end; None when there is none."""
        box = await self._outbox(address_with(key))
        async with box.turn:
            out = await self._node.write(_adopt, box, intent)
            if out is None:
                return None
            box.attended.add(out.id)
        return await self._conclude(box, key, out)

    async def resume(self, key: SigningKey, *, told: bool = False) -> list[bytes]:
        """Bring everything that this key left unfinished to its end, all at once; hashes of what was mined.

        Whoever asks for one of them again meanwhile adopts it. *told*: what ended is forgotten, as the caller
        sees by the chain what it did; the same asked for again is a new deed then. Raises `NetworkFailure`
        when the node does not answer or a transaction is not final in time.
        """
        box = await self._outbox(address_with(key))
        mined: dict[int, bytes] = {}
        failed: list[TrustedPodsError] = []
        brings = box.attended if told else box.resumed

        async def bring(out: Outgoing) -> None:
            brings.add(out.id)
            try:
                done, latest = await self._watch(box, key, out)
                if done is None:
                    raise self._unknown(latest)
                mined[out.nonce] = done[0].tx_hash
            except TrustedPodsError as error:
                failed.append(error)
            finally:
                brings.discard(out.id)

        async with trio.open_nursery() as nursery:
            for out in await self._left(box):
                nursery.start_soon(bring, out)
        if failed:
            raise failed[0]
        return [mined[nonce] for nonce in sorted(mined)]

    # ---- the outbox ----

    async def _outbox(self, sender: Address) -> Outbox:
        place: TransactionJournal | str = self._node.url
        name = f"{self._chain_id}-{sender}"
        if self._journal is not None:
            if self._genesis is None:  # a chain that was made anew under the same id is another one
                self._genesis = await self._node.read(self._wire.genesis)
            place, name = self._journal, f"{self._chain_id}-{self._genesis.hex()[:16]}-{sender}"
        return _outboxes.setdefault((place, name), Outbox(self._journal, name, self._limits))

    async def _left(
        self, box: Outbox, *, before: int | None = None, attended: bool = False
    ) -> list[Outgoing]:
        """What nobody here waits for, in order; *before*: in line before that nonce; *attended*: all."""

        def read() -> list[Outgoing]:
            with box.exclusive() as held:
                return sorted(held.values(), key=lambda out: out.nonce)

        async with box.turn:
            found = await self._node.write(read)
        free = (out for out in found if attended or out.id not in box.watched)
        return [_latest(box, out) for out in free if before is None or out.nonce < before]

    def _launch(self, box: Outbox, key: SigningKey, call: Call, intent: bytes, fees: Fees) -> Outgoing:
        """Sign with the next nonce, write it down, hand it in; in a thread that holds the turn."""
        sender = address_with(key)
        with box.exclusive() as held:
            for attempt in range(_NONCE_ATTEMPTS):
                nonce = next_nonce(held.values(), self._wire.pending_count(sender))
                out = Outgoing(nonce, intent, call, (self._wire.sign(key, call, nonce, fees),))
                held[out.id] = out
                box.save()
                try:
                    answer = self._wire.hand_in(out)
                except RpcError as error:
                    del held[out.id]  # the node will have none of it
                    box.save()
                    if attempt == _NONCE_ATTEMPTS - 1 or not means_nonce_taken(error):
                        raise
                else:
                    return sent_at(out, time.time()) if answer is NodeAnswer.TAKEN_IN else out
        raise AssertionError("the loop returns or raises")

    def _fill(self, box: Outbox, key: SigningKey, out: Outgoing, fees: Fees) -> None:
        """Fill the gap before *out* if it still is one: of many that wait behind it one came first."""
        sender = address_with(key)
        pending = self._wire.pending_count(sender)
        with box.exclusive() as held:
            gap = gap_before(out, held.values(), pending)
        if gap:
            nothing = Call(sender, 0, b"", PLAIN_GAS)
            self._launch(box, key, nothing, intent_of("fill", pending), fees)

    # ---- one transaction ----

    async def _conclude(
        self, box: Outbox, key: SigningKey, out: Outgoing, mined: Callable[[], None] | None = None
    ) -> Settled:
        """Look and act until it is final. Whoever comes here has put its id among the attended."""
        try:
            done, latest = await self._watch(box, key, out, mined)
        finally:
            box.attended.discard(out.id)
        if done is None:
            raise self._unknown(latest)
        receipt, raw = done
        if raw.status != 1:
            await self._wire.explain(latest, address_with(key), receipt)
        return done

    def _unknown(self, out: Outgoing) -> NetworkFailure:
        hashes = " or ".join(f"0x{form.tx_hash.hex()}" for form in out.forms)
        state = "is mined and not final" if out.block else "was not mined"
        return NetworkFailure(
            f"transaction {hashes} {state} within {self._waiting.limit_s:g} s; it still may be",
            hint="repeat the same step: it goes on with this transaction",
        )

    async def _watch(
        self, box: Outbox, key: SigningKey, out: Outgoing, mined: Callable[[], None] | None = None
    ) -> tuple[Settled | None, Outgoing]:
        done: Settled | None = None
        pause, mind_at = _FIRST_POLL_S, trio.current_time() + self._limits.mind_every_s
        gap_since: float | None = None
        with trio.move_on_after(self._waiting.limit_s):
            out, done = await self._advance(box, key, out)
            while done is None:
                if mined is not None and out.block is not None:
                    mined()
                await trio.sleep(pause)
                pace = max(1.0, len(box.watched) / self._limits.watched_at_full_pace)
                pause = min(self._limits.last_poll_s * pace, pause * 1.3)
                if trio.current_time() > mind_at:
                    for other in await self._left(box, before=out.nonce):
                        await self._mind(box, key, other)
                    gap_since = await self._mind_gap(box, key, out, gap_since)
                    mind_at = trio.current_time() + self._limits.mind_every_s * pace
                out, done = await self._advance(box, key, out)
        return done, out

    async def _mind(self, box: Outbox, key: SigningKey, out: Outgoing) -> None:
        """Carry on what nobody waits for, but what is in line before ours."""
        try:
            out, _ = await self._advance(box, key, out)
        except NetworkFailure:
            box.latest.pop(out.id, None)
        else:
            box.latest[out.id] = out

    async def _mind_gap(
        self, box: Outbox, key: SigningKey, out: Outgoing, since: float | None
    ) -> float | None:
        """See whether a nonce before this one is nobody's; fill it when it is for long. Since when it is."""
        sender, now = address_with(key), trio.current_time()
        if not signs_at_once(key):
            return None  # nobody asks a person to sign what does nothing
        try:
            pending = await self._node.read(self._wire.pending_count, sender)
            if not gap_before(out, await self._left(box, attended=True), pending):
                return None
            if since is None or now - since < self._limits.stuck_after_s:
                return now if since is None else since
            fees = await self._node.read(self._wire.fees)
            async with box.turn:
                await self._node.write(self._fill, box, key, out, fees)
        except TrustedPodsError as error:
            _log.warning("a gap in this key's nonces cannot be filled: %s", error)
            return since
        return None

    async def _advance(self, box: Outbox, key: SigningKey, out: Outgoing) -> tuple[Outgoing, Settled | None]:
        """Look once and do what follows; a node that cannot say now is asked again later."""
        try:
            look, raw = await self._node.read(self._wire.look, out, address_with(key))
        except NetworkFailure as error:
            _log.debug("transaction 0x%s: %s", out.id.hex(), error)
            return out, None
        out, step = decide(out, look, self._waiting.finality, self._limits)
        if step is not Do.WAIT:
            _log.debug("transaction 0x%s: %s", out.id.hex(), step)
            async with box.turn:
                out = await self._node.write(self._act, box, key, out, step)
        if step is Do.GIVE_UP:
            raise NetworkFailure(
                f"another transaction took the nonce of 0x{out.id.hex()}",
                hint="another program uses this key; look at the chain before you repeat this step",
                rule="nonce",
            )
        if isinstance(step, Final) and raw is not None:
            included = step.included
            return out, (Receipt(included.tx_hash, raw.gas_used, included.block), raw)
        return out, None

    def _act(self, box: Outbox, key: SigningKey, out: Outgoing, step: Step) -> Outgoing:
        """Carry out a step; in a thread that holds the turn."""
        if step is Do.RESEND:
            return self._again(out)
        with box.exclusive() as held:
            if isinstance(step, Final) or step is Do.GIVE_UP:
                told = out.id in box.attended or step is Do.GIVE_UP
                if told or forgettable(out, time.time()):
                    held.pop(out.id, None)
                    box.save()
                return out
            stored = held.get(out.id, out)
            if len(stored.forms) > len(out.forms):
                return stored  # another process raised it
            if not signs_at_once(key):
                return self._again(out)  # a person is asked once: what was offered first is what is paid
            fees = raised(out, self._wire.fees())
            if fees is not None:
                out = with_form(out, self._wire.sign(key, out.call, out.nonce, fees))
                held[out.id] = out
                box.save()
        return self._again(out)

    def _again(self, out: Outgoing) -> Outgoing:
        try:
            self._wire.hand_in(out)
        except RpcError as error:
            _log.debug("transaction 0x%s again: %s", out.newest.tx_hash.hex(), error)
        return sent_at(out, time.time())


def _adopt(box: Outbox, intent: bytes) -> Outgoing | None:
    with box.exclusive() as held:
        return adoptable(held.values(), intent, box.attended, time.time())


def _latest(box: Outbox, out: Outgoing) -> Outgoing:
    """With what was seen of it in this process, unless it has been signed anew since."""
    seen = box.latest.get(out.id)
    return seen if seen is not None and seen.forms == out.forms else out


def intent_of(*parts: object) -> bytes:
    """A short name for a deed: equal for equal parts."""
    return keccak256(repr(parts).encode())
