# SPDX-License-Identifier: Apache-2.0
"""Every error that a person can see, and the exit code that goes with it.

A door translates its library's errors into these once; the command line prints them. An error
says *what* happened, *where* (file:line, field, peer, transaction) and what to do (*hint*).
"""

from collections.abc import Iterator
from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """Exit codes of all three commands; documented in the README, never renumbered."""

    DONE = 0
    INTERNAL = 1
    BAD_INPUT = 2
    COPIES_DIFFER = 3
    NO_CONTEXT = 4
    LOCKED = 5
    REFUSED = 6
    FUNDS = 7
    NETWORK = 8
    EVIDENCE = 9
    PLAN_HAS_CHANGES = 10
    STORE = 11
    PROGRAM = 12


class TrustedPodsError(Exception):
    """Base of all our errors; raised itself only for what should never happen.

    `code` is a stable word for programs (`-o json`, the wire); `rule` names the single check
    that failed where a class has many (an admission rule, an attestation check).
    """

    code: ClassVar[str] = "internal"
    exit_code: ClassVar[ExitCode] = ExitCode.INTERNAL
    others: tuple[str, ...] = ()
    """Further mistakes of the file, or reasons of the refusal, a line for each, which end `what` too."""

    def __init__(
        self, what: str, *, where: str | None = None, hint: str | None = None, rule: str | None = None
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint
        self.rule = rule

    def came_of(self, place: str) -> None:
        """Let `where` begin with *place*, in which it happened."""
        self.where = f"{place}: {self.where}" if self.where else place

    def __str__(self) -> str:
        """One line: where, what, and the rule in brackets."""
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text} [{self.rule}]" if self.rule else text


class BadInput(TrustedPodsError):
    """A file, flag or environment variable is wrong; nothing was done."""

    code = "bad-input"
    exit_code = ExitCode.BAD_INPUT


class NoContext(TrustedPodsError):
    """It is not known which market, key or cluster is meant."""

    code = "no-context"
    exit_code = ExitCode.NO_CONTEXT


class Locked(TrustedPodsError):
    """Somebody else holds the lock that this needs."""

    code = "locked"
    exit_code = ExitCode.LOCKED


class CopiesDiffer(TrustedPodsError):
    """Copies of one network's document are unequal, and no write explains how; nothing was changed."""

    code = "copies-differ"
    exit_code = ExitCode.COPIES_DIFFER


class Refused(TrustedPodsError):
    """The other side, or a policy, said no; `rule` says which and `what` the number."""

    code = "refused"
    exit_code = ExitCode.REFUSED


class InsufficientFunds(TrustedPodsError):
    """A balance, deposit or allowance does not cover what was asked."""

    code = "funds"
    exit_code = ExitCode.FUNDS


class NetworkFailure(TrustedPodsError):
    """A peer, a chain node or a cluster could not be reached, or not in time.

    It never means that the thing asked about is gone.
    """

    code = "network"
    exit_code = ExitCode.NETWORK


class StoreFailure(NetworkFailure):
    """A provider's books or spool, or a place of backups, cannot be read or written: full, broken, refused.

    Like any part that does not answer it says nothing of what is in them. `rule` says which trouble it is.
    """

    code = "store"
    exit_code = ExitCode.STORE


class EvidenceRefused(TrustedPodsError):
    """The provider's evidence does not prove what it must; `rule` is the failed check."""

    code = "evidence"
    exit_code = ExitCode.EVIDENCE


class LocalProtocolError(TrustedPodsError):
    """This side broke the protocol: a bug here, never the peer's fault."""

    code = "local-protocol"


class RemoteProtocolError(NetworkFailure):
    """The peer sent what the protocol does not allow; the stream is of no more use."""

    code = "remote-protocol"


_WIRE_CLASSES: dict[str, type[TrustedPodsError]] = {
    cls.code: cls
    for cls in (
        BadInput,
        NoContext,
        Locked,
        CopiesDiffer,
        Refused,
        InsufficientFunds,
        NetworkFailure,
        StoreFailure,
        RemoteProtocolError,
    )
}
"""`EvidenceRefused` is none of them: evidence is judged by who asks for it, never by who shows it."""


def error_from_wire(
    code: str, what: str, where: str | None, hint: str | None, rule: str | None
) -> TrustedPodsError:
    """Rebuild the error that a peer reported; an unknown code becomes `Refused`."""
    return _WIRE_CLASSES.get(code, Refused)(what, where=where, hint=hint, rule=rule)


def most_telling(error: BaseException) -> BaseException:
    """Of a group: what is not ours, else the first that is no mere network failure.

    When one side of a conversation fails, its streams end, and the tasks on them fail too.
    """
    return min(_leaves(error), key=_rank)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _rank(error: BaseException) -> int:
    if not isinstance(error, Exception):
        return 0
    if not isinstance(error, TrustedPodsError):
        return 1
    return 3 if isinstance(error, NetworkFailure) else 2
