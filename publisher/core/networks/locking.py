# SPDX-License-Identifier: Apache-2.0
"""A command's way through the leases of a network's clusters: strict two-phase locking, as a machine.

`questions` says what to ask next, `answered` takes what came back; nothing here sends, sleeps or
reads a clock. All leases are held before anything is read, and none is let go before the command has
ended. A command that meets an older one while it holds something lets everything go and waits for
that attempt's *end*; it keeps its ticket, so each older one is met once (wait-die: Rosenkrantz,
Stearns and Lewis, 1978). Times are the client's own monotonic clock. That a grant has run out is the
daemon's to say; the client's view of it only spares useless questions.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from trustedpods.protocol.networks.documents import (
    NOTHING,
    Answer,
    Commit,
    Copy,
    Document,
    Generation,
    Prepare,
    Question,
    ReadCopy,
    Remove,
    Repair,
    StaleBase,
    Write,
    Written,
)
from trustedpods.protocol.networks.leases import (
    Acquire,
    Attempt,
    AwaitEnd,
    Behind,
    Command,
    Ended,
    Fence,
    Granted,
    LeaseStatus,
    Milliseconds,
    NotHeld,
    Release,
    Released,
    Renew,
)
from trustedpods.publisher.core.networks.copies import BeingWritten, Equal, Unequal, compare, left_by_removal

ASK_AGAIN_MS = Milliseconds(500)
"""Between two questions of one that waits: twenty of them are 40 questions a second for a daemon."""

AT_ONCE = Milliseconds(0)

TRIES = 3
"""How often one question is asked that gets no answer. Each has its own limit below half a lease."""


class Phase(Enum):
    """What the command is at."""

    ACQUIRING = "acquiring"
    GIVING_WAY = "giving way"
    ASIDE = "aside"
    READING = "reading"
    HOLDING = "holding"
    PREPARING = "preparing"
    COMMITTING = "committing"
    REPAIRING = "repairing"
    REMOVING = "removing"
    RELEASING = "releasing"
    ENDED = "ended"


class Ending(Enum):
    """Why the locks were let go."""

    FINISHED = "finished"
    BUSY = "busy"
    LOST = "lost"
    UNREACHABLE = "unreachable"
    UNEQUAL = "unequal"


@dataclass(frozen=True, slots=True)
class Held:
    """One cluster's lease in hand; times are of the client's clock, from when it asked."""

    fence: Fence
    renew_at: Milliseconds
    ends: Milliseconds


@dataclass(frozen=True, slots=True)
class Asking:
    """A question to one cluster, and the try that it is."""

    cluster: str
    question: Question


@dataclass(frozen=True, slots=True)
class Locking:
    """Where a command stands. `clusters` is the order in which it asks for leases."""

    clusters: tuple[str, ...]
    attempt: Attempt
    command: Command
    patient_until: Milliseconds
    phase: Phase = Phase.ACQUIRING
    held: Mapping[str, Held] = field(default_factory=dict)
    known_to: frozenset[str] = frozenset()
    """Clusters that may know the attempt, and so are told of its end."""
    pause_until: Milliseconds = AT_ONCE
    failures: Mapping[str, int] = field(default_factory=dict)
    """Questions in a row that a cluster did not answer."""
    ahead: tuple[str, Behind] | None = None
    """Whom it waits for, and where."""
    copies: Mapping[str, Copy] = field(default_factory=dict)
    base: Document = NOTHING
    """The newest document that counts everywhere, once the leases are held."""
    writing: Document | None = None
    """What is being written. Left after the end, it may count or be rolled forward by the next."""
    todo: frozenset[str] = frozenset()
    """Clusters whose answer is still wanted in this phase."""
    to_commit: frozenset[str] = frozenset()
    rolled_forward: bool = False
    repair_from: str | None = None
    """The cluster whose document a person said is right, where copies are unequal."""
    removing: bool = False
    """Whether copies that are gone already are no trouble: the command removes the network."""
    ending: Ending | None = None
    culprit: str | None = None
    """The cluster that made it end before its time."""


def begin(
    clusters: tuple[str, ...],
    attempt: Attempt,
    command: Command,
    patient_until: Milliseconds,
    *,
    repair_from: str | None = None,
    removing: bool = False,
) -> Locking:
    """A command that wants the leases of all *clusters*; it waits for others until *patient_until*.

    With *repair_from* it ends copies that are unequal: that cluster's document is the right one. With
    *removing* copies are equal where some are gone: an earlier removal was not brought to its end.
    """
    return Locking(clusters, attempt, command, patient_until, repair_from=repair_from, removing=removing)


def questions(locking: Locking, now: Milliseconds) -> tuple[Asking, ...]:
    """What to ask now, side by side; nothing where it waits for the clock or for the command's next word."""
    if locking.phase is Phase.ENDED:
        return ()
    if locking.phase is Phase.RELEASING:
        return _to_each(locking, locking.todo, now)
    due = tuple(
        Asking(cluster, Renew(locking.attempt, held.fence))
        for cluster, held in locking.held.items()
        if held.renew_at <= now
    )
    return due or _to_each(locking, locking.todo, now)


def _to_each(locking: Locking, clusters: frozenset[str], now: Milliseconds) -> tuple[Asking, ...]:
    if now < locking.pause_until:
        return ()
    if locking.phase is Phase.ACQUIRING:
        return (Asking(_wanted(locking), Acquire(locking.attempt, locking.command)),)
    return tuple(Asking(cluster, _question(locking, cluster)) for cluster in sorted(clusters))


def _wanted(locking: Locking) -> str:
    """The first cluster, in the command's order, whose lease it does not hold."""
    return next(cluster for cluster in locking.clusters if cluster not in locking.held)


def _question(locking: Locking, cluster: str) -> Question:
    match locking.phase:
        case Phase.GIVING_WAY:
            return Release(locking.attempt, aside=True)
        case Phase.ASIDE:
            assert locking.ahead is not None
            return AwaitEnd(locking.attempt, locking.ahead[1].other)
        case Phase.READING:
            return ReadCopy()
        case Phase.PREPARING | Phase.REPAIRING | Phase.COMMITTING | Phase.REMOVING:
            return _write_question(locking, cluster)
        case _:
            return Release(locking.attempt, aside=False)


def _write_question(locking: Locking, cluster: str) -> Write:
    attempt, fence, document = locking.attempt, locking.held[cluster].fence, locking.writing
    if locking.phase is Phase.REMOVING:
        return Remove(attempt, fence, locking.base)
    assert document is not None
    if locking.phase is Phase.PREPARING:
        return Prepare(attempt, fence, locking.base, document)
    if locking.phase is Phase.REPAIRING:
        return Repair(attempt, fence, locking.copies[cluster], document)
    return Commit(attempt, fence, document)


def wakes_at(locking: Locking) -> Milliseconds | None:
    """When `questions` may have something new to ask without any event; None if never."""
    times = [held.renew_at for held in locking.held.values()]
    if locking.phase not in (Phase.HOLDING, Phase.ENDED):
        times.append(locking.pause_until)
    return min(times, default=None)


def answered(
    locking: Locking, asking: Asking, answer: Answer | None, sent: Milliseconds, now: Milliseconds
) -> Locking:
    """What came back to *asking*, which was *sent* then; None for no answer, which says nothing.

    All questions of one round are answered before the next is asked.
    """
    releasing = isinstance(asking.question, Release)
    if locking.phase is Phase.ENDED or (locking.phase is Phase.RELEASING and not releasing):
        return locking
    if isinstance(asking.question, Acquire | AwaitEnd):
        locking = replace(locking, known_to=locking.known_to | {asking.cluster})
    if answer is None:
        return _unanswered(locking, asking, now)
    if asking.cluster in locking.failures:
        failures = {name: n for name, n in locking.failures.items() if name != asking.cluster}
        locking = replace(locking, failures=failures)
    return _heard(locking, asking, answer, sent, now)


def write(locking: Locking, body: bytes) -> Locking:
    """The command has its next document: *body*, to follow what counts now. Only while it holds."""
    if locking.phase is not Phase.HOLDING:
        raise ValueError(f"no document can be written while {locking.phase.value}")
    document = Document(Generation(locking.base.generation + 1), body)
    everywhere = frozenset(locking.clusters)
    return replace(locking, phase=Phase.PREPARING, writing=document, todo=everywhere, to_commit=everywhere)


def remove(locking: Locking) -> Locking:
    """The command wants nothing more to be kept of the network anywhere. Only while it holds."""
    if locking.phase is not Phase.HOLDING:
        raise ValueError(f"no network can be removed while {locking.phase.value}")
    return replace(locking, phase=Phase.REMOVING, todo=frozenset(locking.clusters))


def finish(locking: Locking) -> Locking:
    """The command has ended, or is abandoned: let go of everything, wherever it stands.

    A cluster that is just being asked for its lease is told too: it may have granted it already.
    """
    if locking.phase in (Phase.RELEASING, Phase.ENDED):
        return locking
    if locking.phase is Phase.ACQUIRING:
        locking = replace(locking, known_to=locking.known_to | {_wanted(locking)})
    return _end(locking, Ending.FINISHED, None)


def _heard(
    locking: Locking, asking: Asking, answer: Answer, sent: Milliseconds, now: Milliseconds
) -> Locking:
    match answer:
        case Granted():
            locking = _granted(locking, asking, answer, sent)
        case Behind():
            locking = _behind(locking, asking, answer, now)
        case NotHeld():
            locking = _end(locking, Ending.LOST, asking.cluster)
        case StaleBase():
            found = replace(locking, copies={asking.cluster: answer.copy})
            locking = _end(found, Ending.UNEQUAL, asking.cluster)
        case Copy():
            read = replace(locking, copies={**locking.copies, asking.cluster: answer})
            locking = _done(read, asking.cluster)
        case Ended() | Released() | Written():
            locking = _done(locking, asking.cluster)
        case LeaseStatus():
            pass  # a command asks this without a lease
    return locking


def _granted(locking: Locking, asking: Asking, granted: Granted, sent: Milliseconds) -> Locking:
    held = Held(granted.fence, Milliseconds(sent + granted.lasts // 2), Milliseconds(sent + granted.lasts))
    taken = replace(locking, attempt=granted.attempt, held={**locking.held, asking.cluster: held})
    if locking.phase is not Phase.ACQUIRING or isinstance(asking.question, Renew):
        return taken
    taken = replace(taken, ahead=None)
    if len(taken.held) < len(taken.clusters):
        return taken
    return replace(taken, phase=Phase.READING, todo=frozenset(taken.clusters))


def _behind(locking: Locking, asking: Asking, behind: Behind, now: Milliseconds) -> Locking:
    waits = replace(
        locking,
        attempt=behind.attempt,
        ahead=(asking.cluster, behind),
        pause_until=Milliseconds(now + ASK_AGAIN_MS),
    )
    if now >= locking.patient_until:
        return _end(waits, Ending.BUSY, asking.cluster)
    if _gives_way(locking, behind):
        return replace(waits, phase=Phase.GIVING_WAY, todo=frozenset(locking.held), pause_until=now)
    return waits


def _gives_way(locking: Locking, behind: Behind) -> bool:
    """Whether an older attempt needs what this one holds; a younger one will come to its own end."""
    return locking.phase is Phase.ACQUIRING and bool(locking.held) and behind.other < behind.attempt


def _unanswered(locking: Locking, asking: Asking, now: Milliseconds) -> Locking:
    failed = locking.failures.get(asking.cluster, 0) + 1
    failures = {**locking.failures, asking.cluster: failed}
    locking = replace(locking, failures=failures, pause_until=Milliseconds(now + ASK_AGAIN_MS))
    if failed < TRIES:
        return locking
    if locking.phase is Phase.RELEASING:
        return _done(locking, asking.cluster)
    return _end(locking, Ending.UNREACHABLE, asking.cluster)


def _end(locking: Locking, ending: Ending, culprit: str | None) -> Locking:
    todo = locking.known_to | frozenset(locking.held)
    return replace(
        locking,
        phase=Phase.RELEASING if todo else Phase.ENDED,
        ending=ending,
        culprit=culprit,
        todo=todo,
        failures={},
        held={},
        pause_until=AT_ONCE,
    )


def _done(locking: Locking, cluster: str) -> Locking:
    """One cluster's part of the phase is done; the next phase begins after the last."""
    locking = replace(locking, todo=locking.todo - {cluster})
    return locking if locking.todo else _next_phase(locking)


def _next_phase(locking: Locking) -> Locking:
    match locking.phase:
        case Phase.GIVING_WAY:
            assert locking.ahead is not None
            locking = replace(locking, phase=Phase.ASIDE, held={}, todo=frozenset({locking.ahead[0]}))
        case Phase.ASIDE:
            locking = replace(locking, phase=Phase.ACQUIRING, ahead=None, pause_until=AT_ONCE)
        case Phase.READING:
            locking = _read(locking)
        case Phase.PREPARING:
            locking = replace(locking, phase=Phase.COMMITTING, todo=locking.to_commit)
        case Phase.COMMITTING | Phase.REPAIRING:
            assert locking.writing is not None
            locking = replace(locking, phase=Phase.HOLDING, base=locking.writing, writing=None)
        case Phase.REMOVING:
            locking = replace(locking, phase=Phase.HOLDING, base=NOTHING)
        case Phase.RELEASING:
            locking = replace(locking, phase=Phase.ENDED)
        case _:
            pass
    return locking


def _read(locking: Locking) -> Locking:
    left = left_by_removal(locking.copies)
    if locking.removing and left is not None:
        return replace(locking, phase=Phase.HOLDING, base=left)
    match compare(locking.copies):
        case Equal(document):
            return replace(locking, phase=Phase.HOLDING, base=document)
        case BeingWritten(base, document, to_prepare, to_commit):
            return replace(
                locking,
                phase=Phase.PREPARING if to_prepare else Phase.COMMITTING,
                base=base,
                writing=document,
                todo=frozenset(to_prepare or to_commit),
                to_commit=frozenset(to_commit),
                rolled_forward=True,
            )
        case Unequal():
            return _repair(locking)


def _repair(locking: Locking) -> Locking:
    """Put one cluster's document on all others, if a person said whose; it must be one that was written."""
    right = locking.copies.get(locking.repair_from or "", Copy()).current
    if right == NOTHING:
        return _end(locking, Ending.UNEQUAL, None)
    wrong = frozenset(name for name, copy in locking.copies.items() if copy != Copy(right))
    return replace(locking, phase=Phase.REPAIRING, writing=right, todo=wrong)
