# SPDX-License-Identifier: Apache-2.0
"""What people are told of leases and copies: who is waited for, why it ended, how copies differ. Pure."""

import hashlib
from collections.abc import Mapping

from trustedpods.protocol.errors import CopiesDiffer, Locked, NetworkFailure, TrustedPodsError
from trustedpods.protocol.networks.documents import Copy, Document
from trustedpods.protocol.networks.leases import Behind
from trustedpods.protocol.units import UnixSeconds, utc_text
from trustedpods.publisher.core.money import duration_text
from trustedpods.publisher.core.networks.copies import left_by_removal
from trustedpods.publisher.core.networks.locking import Ending, Locking

LAST_MOMENT = 253_402_300_799
"""The end of the year 9999: what others say of their clocks may be any number."""

MINUTE_MS = 60_000
SHORT_DIGEST = 12
"""Hex digits of a digest that tell two documents apart for people."""


def ending_error(
    network: str, locking: Locking, last: Mapping[str, TrustedPodsError], now: UnixSeconds
) -> TrustedPodsError | None:
    """The error that a command ended with; None where it came to its own end.

    *last* has what each cluster failed with, *now* is this machine's clock.
    """
    cluster = locking.culprit or ""
    match locking.ending:
        case Ending.BUSY:
            assert locking.ahead is not None
            return busy(network, locking.ahead[0], locking.ahead[1], now)
        case Ending.LOST:
            return Locked(
                f"the lease of network {network} ran out, or was broken, before this command had ended",
                where=cluster,
                rule="lease-lost",
                hint="what it had begun to write the next command brings to its end: run it again",
            )
        case Ending.UNREACHABLE:
            reason = last.get(cluster)
            return NetworkFailure(
                f"cluster {cluster} of network {network} does not answer"
                + (f": {reason.what}" if reason else ""),
                where=(reason.where if reason else None) or cluster,
                rule="unreachable",
                hint="nothing was changed anywhere that the next command does not bring to its end",
            )
        case Ending.UNEQUAL:
            return unequal(network, locking.copies)
        case _:
            return None


def busy(network: str, cluster: str, behind: Behind, now: UnixSeconds) -> Locked:
    """Somebody else has the lease, or is before us in its line: who, until when, what they run."""
    command = behind.other_command
    who = f"{behind.other.who} at {command.machine}"
    runs = f"they run `{command.what}` since {moment(command.since)}"
    if behind.ends_in is None:
        what, minutes = f"{who} waits for the lease of network {network} before this command", 1
    else:
        until = moment(now + -(-behind.ends_in // 1000))
        minutes = max(1, -(-behind.ends_in // MINUTE_MS))
        what = f"{who} has the lease of network {network} until {until}"
    return Locked(
        f"{what}, retry after {minutes} min; {runs}",
        where=cluster,
        rule="lease",
        hint="`--wait 10m` waits for it; `trustedpods lock status` shows the line, `lock break` ends a lease",
    )


def waiting_line(network: str, cluster: str, behind: Behind, now: UnixSeconds) -> str:
    """One line while a command waits."""
    command = behind.other_command
    since = duration_text(max(0, now - command.since))
    state = "waits before us" if behind.ends_in is None else "has it"
    return (
        f"waiting for the lease of network {network} on {cluster}: "
        f"{behind.other.who} at {command.machine} {state}, `{command.what}` for {since}"
    )


def unequal(network: str, copies: Mapping[str, Copy]) -> CopiesDiffer:
    """Names the clusters and the first thing in which their copies differ."""
    hint = "`trustedpods state compare` shows them; `state repair --from CLUSTER` takes one for all"
    if left_by_removal(copies) is not None:
        hint += "; where it was being removed, `network delete` goes on with that"
    return CopiesDiffer(
        f"the copies of network {network} differ in their {first_difference(copies)}",
        where=", ".join(sorted(copies)),
        rule="copies",
        hint=hint,
    )


def first_difference(copies: Mapping[str, Copy]) -> str:
    """The first of generation, content and pending document that is not the same everywhere."""
    fields = {
        "generation": {name: str(copy.current.generation) for name, copy in copies.items()},
        "content": {name: digest(copy.current) for name, copy in copies.items()},
        "pending document": {name: pending_text(copy) for name, copy in copies.items()},
    }
    for field, values in fields.items():
        if len(set(values.values())) > 1:
            told = ", ".join(f"{name}: {value}" for name, value in sorted(values.items()))
            return f"{field} ({told})"
    return "state (one of them is being written over what the others do not have)"


def pending_text(copy: Copy) -> str:
    """The pending document of a copy, for people."""
    return "none" if copy.pending is None else f"{copy.pending.generation} {digest(copy.pending)}"


def digest(document: Document) -> str:
    """What tells the content of two documents apart."""
    return hashlib.sha256(document.body).hexdigest()[:SHORT_DIGEST] if document.body else "nothing"


def moment(unix: int) -> str:
    """`2026-11-21 10:54:03Z`, or the number where it is no date."""
    if not 0 <= unix <= LAST_MOMENT:
        return f"second {unix}"
    return utc_text(unix)
