# SPDX-License-Identifier: Apache-2.0
"""The life of a pod: which event leads from which phase to which, and what is then to be done.

Everything about order lives in the two tables of this file. An event that has no place in a
phase changes nothing, so every event may come twice and every step may be repeated after a kill.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.core.pod import ENDED, Phase, PodRecord


class Event(StrEnum):
    """What can happen to a pod."""

    BUNDLE = "bundle"
    """A newer generation of the bundle was accepted."""
    BLOBS_COMPLETE = "blobs-complete"
    CHANNEL_GOOD = "channel-good"
    IMPORTED = "imported"
    STARTED = "started"
    FAILED = "failed"
    """Refused, broken or too late before it served; `reason` holds Kubernetes' own words."""
    FUNDS_OUT = "funds-out"
    UNLOCK_ANNOUNCED = "unlock-announced"
    FUNDED = "funded"
    GRACE_OVER = "grace-over"
    CHANNEL_GONE = "channel-gone"
    NAMESPACE_LOST = "namespace-lost"
    KEY_LOST = "key-lost"
    DELETED = "deleted"
    EVICTED = "evicted"
    """The operator sends the pod away."""
    REMOVED = "removed"


class Command(StrEnum):
    """What the app has to do after a step; each may be repeated."""

    WORK = "work"
    """Let a keeper task carry the pod on."""
    PUBLISH = "publish"
    """Make the facade serve it."""
    PARK = "park"
    """No replicas, and the facade says why."""
    SETTLE = "settle"
    """Cut and send a claim soon."""
    FORGET = "forget"
    """Free the slot and whatever memory holds."""


@dataclass(frozen=True, slots=True)
class Step:
    """The record after an event, and what to do about it."""

    record: PodRecord
    commands: tuple[Command, ...] = ()


_BEFORE_SERVING = (Phase.RECEIVED, Phase.WAITING_CHANNEL, Phase.IMPORTING, Phase.STARTING)
_STANDING = (*_BEFORE_SERVING, Phase.SERVING, Phase.STOPPED, Phase.AWAITING_KEY)

_NEXT: dict[Event, tuple[tuple[Phase, ...], Phase]] = {
    Event.BUNDLE: (tuple(set(_STANDING) | ENDED), Phase.RECEIVED),
    Event.BLOBS_COMPLETE: ((Phase.RECEIVED,), Phase.WAITING_CHANNEL),
    Event.CHANNEL_GOOD: ((Phase.WAITING_CHANNEL,), Phase.IMPORTING),
    Event.IMPORTED: ((Phase.IMPORTING,), Phase.STARTING),
    Event.STARTED: ((Phase.STARTING,), Phase.SERVING),
    Event.FAILED: (_BEFORE_SERVING, Phase.REMOVING),
    Event.FUNDS_OUT: ((*_BEFORE_SERVING, Phase.SERVING), Phase.STOPPED),
    Event.UNLOCK_ANNOUNCED: ((*_BEFORE_SERVING, Phase.SERVING), Phase.STOPPED),
    Event.FUNDED: ((Phase.STOPPED,), Phase.SERVING),
    Event.GRACE_OVER: ((Phase.STOPPED, Phase.AWAITING_KEY), Phase.REMOVING),
    Event.CHANNEL_GONE: (_STANDING, Phase.REMOVING),
    Event.NAMESPACE_LOST: ((Phase.SERVING,), Phase.IMPORTING),
    Event.KEY_LOST: ((*_BEFORE_SERVING, Phase.SERVING, Phase.STOPPED), Phase.AWAITING_KEY),
    Event.DELETED: (_STANDING, Phase.REMOVING),
    Event.EVICTED: (_STANDING, Phase.REMOVING),
    Event.REMOVED: ((Phase.REMOVING,), Phase.GONE),
}
"""For each event: the phases in which it counts, and the phase that it leads to."""

_ON_ENTRY: dict[Phase, tuple[Command, ...]] = {
    Phase.RECEIVED: (Command.WORK,),
    Phase.WAITING_CHANNEL: (Command.WORK,),
    Phase.IMPORTING: (Command.WORK,),
    Phase.STARTING: (Command.WORK,),
    Phase.SERVING: (Command.PUBLISH,),
    Phase.STOPPED: (Command.PARK, Command.SETTLE),
    Phase.REMOVING: (Command.PARK, Command.WORK),
    Phase.GONE: (Command.FORGET,),
    Phase.FAILED: (Command.FORGET,),
    Phase.AWAITING_KEY: (Command.PARK,),
}


def step(record: PodRecord, event: Event, now: UnixSeconds, reason: str = "") -> Step:
    """The record after *event*; the same record and no commands where it does not count."""
    counts_in, phase = _NEXT[event]
    if record.phase not in counts_in:
        return Step(record)
    if event is Event.FAILED and record.previous is not None:
        return _roll_back(record, now, reason)
    if event is Event.FAILED and record.served:
        phase = Phase.SERVING  # it ran before: from here on a failing start is a failing wake-up
    if event is Event.REMOVED and record.failing:
        phase = Phase.FAILED
    after = replace(record, phase=phase, changed_at=now, reason=reason or _kept_reason(record, phase))
    return Step(_with_marks(after, event, now), _ON_ENTRY[phase])


def _kept_reason(record: PodRecord, phase: Phase) -> str:
    return record.reason if phase in (Phase.REMOVING, *ENDED) else ""


def _with_marks(record: PodRecord, event: Event, now: UnixSeconds) -> PodRecord:
    match record.phase:
        case Phase.SERVING:
            return replace(record, live=True, previous=None, stopped_at=None, failing=False)
        case Phase.STOPPED:
            return replace(record, live=False, stopped_at=now)
        case Phase.REMOVING:
            return replace(record, live=False, failing=event is Event.FAILED)
        case Phase.AWAITING_KEY:  # what ran before does not open either, and the facade has other slots now
            return replace(record, live=False, previous=None, slot=None)
        case Phase.GONE | Phase.FAILED:  # of a bundle that nobody needs any more nothing is kept
            return replace(record, live=False, request=b"", previous=None)
        case _:
            return record


def _roll_back(record: PodRecord, now: UnixSeconds, reason: str) -> Step:
    """A newer bundle failed: back to the one that ran, under the newer generation."""
    back = replace(
        record,
        request=record.previous or record.request,
        previous=None,
        phase=Phase.IMPORTING,
        reason=f"back to the bundle before: {reason}",
        changed_at=now,
    )
    return Step(back, _ON_ENTRY[Phase.IMPORTING])
