# SPDX-License-Identifier: Apache-2.0
"""What is remembered of a certificate and its order, what happens to them, and what is to be done. Pure.

All times are whole Unix seconds of this machine's clock, which may be wrong and be set right.
"""

from dataclasses import dataclass
from enum import StrEnum


class OrderStage(StrEnum):
    """How far an order is: all before it is done and written down."""

    OPENING = "opening"
    """It was decided. The authority has not heard of it: the account there is looked for first."""
    PLACING = "placing"
    """It is sent. Whether the authority heard of it is not known."""
    PROVING = "proving"
    FINALIZING = "finalizing"


class FailureKind(StrEnum):
    """What became of the order by a failure."""

    LATER = "later"
    """The authority, or our own way of proving, did not work: the order stays and is tried again."""
    RATE = "rate"
    """The authority takes no more for now; the order stays."""
    LOST = "lost"
    """This order is refused, failed or unknown: only a new one can help."""


@dataclass(frozen=True, slots=True)
class HeldCertificate:
    """A certificate that is stored with its key.

    `suggested`: when the authority wants it to be renewed (RFC 9773), None where it does not say; it is
    in the past for one that is revoked. `ask_at`: when to ask for that again.
    """

    names: tuple[str, ...]
    not_before: int
    not_after: int
    suggested: int | None = None
    ask_at: int = 0


@dataclass(frozen=True, slots=True)
class PendingOrder:
    """An order under way; `url` is empty until it is placed."""

    names: tuple[str, ...]
    begun: int
    stage: OrderStage = OrderStage.OPENING
    url: str = ""


@dataclass(frozen=True, slots=True)
class RenewalState:
    """All that is remembered between two runs of the daemon.

    `orders` and `issued` are the times of the last week's. `failures` counts those in a row, `problem` is the
    last one in words, and before `wait_until` nothing is asked of the authority. All of it is about the
    authority at `directory`.
    """

    held: HeldCertificate | None = None
    order: PendingOrder | None = None
    failures: int = 0
    wait_until: int = 0
    orders: tuple[int, ...] = ()
    issued: tuple[int, ...] = ()
    problem: str = ""
    directory: str = ""


@dataclass(frozen=True, slots=True)
class Woken:
    """The daemon started, or the time has come that was waited for. *names* are wanted now."""

    at: int
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KeyLost:
    """The stored certificate cannot be used: it is gone, unreadable, or of another key than this boot's."""

    at: int


@dataclass(frozen=True, slots=True)
class AccountOpened:
    """The authority answers, and has an account of ours."""

    at: int


@dataclass(frozen=True, slots=True)
class Placed:
    """The authority took the order."""

    at: int
    url: str


@dataclass(frozen=True, slots=True)
class Proven:
    """The authority believes that all names are ours."""

    at: int


@dataclass(frozen=True, slots=True)
class Stored:
    """The certificate came and lies whole on the disk, beside its key."""

    at: int
    names: tuple[str, ...]
    not_before: int
    not_after: int


@dataclass(frozen=True, slots=True)
class Suggested:
    """The authority was asked when to renew: None if it does not say."""

    at: int
    renew_at: int | None
    ask_at: int


@dataclass(frozen=True, slots=True)
class CommandFailed:
    """The last command did not work; *retry_at* is what the authority said, 0 if nothing."""

    at: int
    kind: FailureKind
    problem: str
    retry_at: int = 0


RenewalEvent = Woken | KeyLost | AccountOpened | Placed | Proven | Stored | Suggested | CommandFailed


@dataclass(frozen=True, slots=True)
class OpenAccount:
    """Find or make the account at the authority, before an order counts."""


@dataclass(frozen=True, slots=True)
class PlaceOrder:
    """Make a key, keep it, and order a certificate for the names."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProveNames:
    """Answer the challenges of the order that are still open."""

    url: str


@dataclass(frozen=True, slots=True)
class FinalizeOrder:
    """Have the certificate made, and store it with its key."""

    url: str


@dataclass(frozen=True, slots=True)
class AskSuggestion:
    """Ask the authority when it wants the certificate to be renewed."""


@dataclass(frozen=True, slots=True)
class WaitUntil:
    """Nothing to do before *at*; then comes `Woken`."""

    at: int


RenewalCommand = OpenAccount | PlaceOrder | ProveNames | FinalizeOrder | AskSuggestion | WaitUntil
