# SPDX-License-Identifier: Apache-2.0
"""A key's transactions on their way to finality: which nonce, and what to do next. Pure.

One transaction is a nonce and a call, signed once or, with higher fees, several times: at most one
of its forms can ever be mined. `decide` takes what was seen of it on chain and says what to do; the
door (`client.transactions`) looks and acts. Losing a transaction and paying twice are the two
faults that this module exists to exclude:

- it is written down before it is sent, and sent again, byte for byte, until it is final;
- its nonce is never given to another call while any of its forms could still be mined;
- a call that is asked for again meets its first attempt, until somebody was told its outcome.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from enum import Enum
from typing import TypeAlias

from trustedpods.contracts.client.client_limits import USUAL, ClientLimits
from trustedpods.protocol.ids import Address

MAX_FORMS = 6
"""Signed forms of one transaction: five raises."""

RAISE_NUMERATOR, RAISE_DENOMINATOR = 9, 8
"""Each raise is by an eighth at least; nodes ask for a tenth."""

MAX_RAISE = 4
"""Fees are never raised beyond this many times those of the first form."""

ADOPT_WITHIN_S = 3600.0
"""A call asked for again within this time meets its unfinished attempt; a permit lives as long."""


@dataclass(frozen=True, slots=True)
class Fees:
    """What is offered for a unit of gas, in wei: at most in all, and of it to whoever mines."""

    most: int
    tip: int


@dataclass(frozen=True, slots=True)
class Call:
    """What a transaction does; `to` is None when it creates a contract."""

    to: Address | None
    value: int
    data: bytes
    gas: int


@dataclass(frozen=True, slots=True)
class Form:
    """A transaction as it was signed at unix time *at*."""

    raw: bytes
    tx_hash: bytes
    fees: Fees
    at: float


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One transaction that is not final yet.

    `intent` names what the caller wanted: the same for a repeated call, whatever permit it carries.
    `sent` is when it was last handed to a node, `block` the block that it was last seen in,
    `gone` since when its nonce is seen used by another transaction.
    """

    nonce: int
    intent: bytes
    call: Call
    forms: tuple[Form, ...]
    sent: float | None = None
    block: bytes | None = None
    gone: float | None = None

    @property
    def id(self) -> bytes:
        """Hash of the first form: names the transaction whatever happens to it."""
        return self.forms[0].tx_hash

    @property
    def newest(self) -> Form:
        """The form with the highest fees: the one to send."""
        return self.forms[-1]


@dataclass(frozen=True, slots=True)
class Included:
    """A form's receipt. `canonical`: its block is the one that the chain has at that height."""

    tx_hash: bytes
    block: int
    block_hash: bytes
    canonical: bool


@dataclass(frozen=True, slots=True)
class Look:
    """What the chain showed at unix time *now*.

    `count` is the sender's number of mined transactions, `settled` the same at the newest final
    block; both are read after the receipt.
    """

    now: float
    head: int
    count: int
    settled: int
    included: Included | None = None


class Do(Enum):
    """What to do next about a transaction."""

    WAIT = "wait"
    RESEND = "resend"
    RAISE = "raise"
    GIVE_UP = "give up"
    """Another transaction has its nonce for good, as far as can be seen."""


@dataclass(frozen=True, slots=True)
class Final:
    """It is done: the form that was mined lies deep enough."""

    included: Included


Step: TypeAlias = Do | Final


def decide(out: Outgoing, look: Look, finality: int, limits: ClientLimits = USUAL) -> tuple[Outgoing, Step]:
    """What *look* means for *out*: its new state, and the next step.

    *finality*: how many blocks must lie on the one that it is in. The caller notes a sending by
    `sent_at` and a raise by `raised`.
    """
    if look.included is not None and look.included.canonical:
        seen = replace(out, block=look.included.block_hash, gone=None)
        deep = look.head - look.included.block >= finality
        return seen, Final(look.included) if deep else Do.WAIT
    if look.settled > out.nonce:
        since = look.now if out.gone is None else min(out.gone, look.now)
        over = look.now - since >= limits.gone_after_s
        return replace(out, gone=since, block=None), Do.GIVE_UP if over else Do.WAIT
    fell_out = out.block is not None
    out = replace(out, block=None, gone=None)
    if look.count > out.nonce:
        return out, Do.WAIT  # another has the nonce, or a receipt is late: the next look will tell
    if look.count == out.nonce and _stuck(out, look.now, limits.stuck_after_s):
        return out, Do.RAISE
    if fell_out or out.sent is None or not 0 <= look.now - out.sent < limits.resend_every_s:
        return out, Do.RESEND
    return out, Do.WAIT


def _stuck(out: Outgoing, now: float, after_s: float) -> bool:
    return len(out.forms) < MAX_FORMS and now - out.newest.at >= after_s


def sent_at(out: Outgoing, now: float) -> Outgoing:
    """It was handed to a node."""
    return replace(out, sent=now)


def with_form(out: Outgoing, form: Form) -> Outgoing:
    """It was signed again with higher fees."""
    return replace(out, forms=(*out.forms, form))


def raised(out: Outgoing, market: Fees) -> Fees | None:
    """Fees of the next form: at least an eighth more, and what is usual now; None at the limit."""
    last, first = out.newest.fees, out.forms[0].fees
    tip = max(_more(last.tip), min(market.tip, MAX_RAISE * first.tip))
    most = max(_more(last.most), tip, min(market.most, MAX_RAISE * first.most))
    return None if most > MAX_RAISE * max(1, first.most) else Fees(most, tip)


def _more(fee: int) -> int:
    return fee * RAISE_NUMERATOR // RAISE_DENOMINATOR + 1


def next_nonce(outgoing: Iterable[Outgoing], pending: int) -> int:
    """The nonce of a new transaction; *pending* is the node's count with what waits in its pool.

    A gap is filled first: a nonce that nobody fills would hold up all later ones.
    """
    taken = {out.nonce for out in outgoing}
    nonce = pending
    while nonce in taken:
        nonce += 1
    return nonce


def gap_before(out: Outgoing, outgoing: Iterable[Outgoing], pending: int) -> bool:
    """Whether a nonce before *out*'s is nobody's any more: the node forgot another program's transaction.

    Nothing behind a gap is ever mined. After `stuck_after_s` the gap is filled with a transaction
    that does nothing; to sign the same call again with the free nonce could do it twice.
    """
    return next_nonce(outgoing, pending) < out.nonce


def adoptable(
    outgoing: Iterable[Outgoing], intent: bytes, attended: Collection[bytes], now: float
) -> Outgoing | None:
    """An unfinished attempt at the same thing that nobody here waits for any more, if any.

    *attended* are the ids of those that somebody waits for: two equal calls at once are two.
    """
    for out in outgoing:
        if out.intent == intent and out.id not in attended and not forgettable(out, now):
            return out
    return None


def forgettable(out: Outgoing, now: float) -> bool:
    """Whether nobody will come back for the outcome: until then a final one is kept, too."""
    return abs(now - out.forms[0].at) >= ADOPT_WITHIN_S
