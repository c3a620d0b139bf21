# SPDX-License-Identifier: Apache-2.0
"""The life of a pod: which event leads from which phase to which, and what is then to be done.

Everything about order lives in the two tables of this file. An event that has no place in a
phase changes nothing, so every event may come twice and every step may be repeated after a kill.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.core.pod import ENDED, Phase, PodRecord, PodSize


class LifecycleEvent(StrEnum):
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
    CHANNEL_CHANGED = "channel-changed"
    """The channel is not the one that was agreed: another life of it, other terms, another meter."""
    FUNDED = "funded"
    GRACE_OVER = "grace-over"
    CHANNEL_GONE = "channel-gone"
    NAMESPACE_LOST = "namespace-lost"
    KEY_LOST = "key-lost"
    TAKEN_OVER = "taken-over"
    """The key went with another machine's daemon; the replicas run elsewhere, and go on."""
    DELETED = "deleted"
    DELETED_BUT_VOLUMES = "deleted-but-volumes"
    """Deleted by its publisher; it has volumes that outlive it."""
    CLEARED = "cleared"
    """All but those volumes is gone."""
    EVICTED = "evicted"
    """The operator sends the pod away."""
    REMOVED = "removed"


class LifecycleCommand(StrEnum):
    """What the app has to do after a step; each may be repeated."""

    WORK = "work"
    """Let a keeper task carry the pod on."""
    PUBLISH = "publish"
    """Make the facade serve it."""
    PARK = "park"
    """No replicas, and the facade says why."""
    LET_GO = "let-go"
    """Nothing that is stored for it is billed from now on."""
    SETTLE = "settle"
    """Cut and send a claim soon."""
    DROP_EARLIER = "drop-earlier"
    """Drop what was kept for the way back: a version has proven itself."""
    FORGET = "forget"
    """Free what its services were exposed by, and whatever memory holds."""


@dataclass(frozen=True, slots=True)
class LifecycleStep:
    """The record after an event, and what to do about it."""

    record: PodRecord
    commands: tuple[LifecycleCommand, ...] = ()


_BEFORE_SERVING = (Phase.RECEIVED, Phase.WAITING_CHANNEL, Phase.IMPORTING, Phase.STARTING)
_KEPT = (*_BEFORE_SERVING, Phase.SERVING, Phase.STOPPED, Phase.AWAITING_KEY)
_STANDING = (*_KEPT, Phase.CLEARING, Phase.RETAINED)
_MONEY_ENDS = (LifecycleEvent.FUNDS_OUT, LifecycleEvent.UNLOCK_ANNOUNCED, LifecycleEvent.CHANNEL_CHANGED)
_BACK_TO_VOLUMES = (LifecycleEvent.FAILED, LifecycleEvent.KEY_LOST, *_MONEY_ENDS)
"""What ends a deploy over the volumes of a deleted pod, before it has served."""


_NEXT: dict[LifecycleEvent, tuple[tuple[Phase, ...], Phase]] = {
    LifecycleEvent.BUNDLE: ((*_KEPT, Phase.RETAINED, *ENDED), Phase.RECEIVED),
    LifecycleEvent.BLOBS_COMPLETE: ((Phase.RECEIVED,), Phase.WAITING_CHANNEL),
    LifecycleEvent.CHANNEL_GOOD: ((Phase.WAITING_CHANNEL,), Phase.IMPORTING),
    LifecycleEvent.IMPORTED: ((Phase.IMPORTING,), Phase.STARTING),
    LifecycleEvent.STARTED: ((Phase.STARTING,), Phase.SERVING),
    LifecycleEvent.FAILED: (_BEFORE_SERVING, Phase.REMOVING),
    LifecycleEvent.FUNDS_OUT: ((*_BEFORE_SERVING, Phase.SERVING), Phase.STOPPED),
    LifecycleEvent.UNLOCK_ANNOUNCED: ((*_BEFORE_SERVING, Phase.SERVING), Phase.STOPPED),
    LifecycleEvent.CHANNEL_CHANGED: ((*_BEFORE_SERVING, Phase.SERVING), Phase.STOPPED),
    LifecycleEvent.FUNDED: ((Phase.STOPPED,), Phase.SERVING),
    LifecycleEvent.GRACE_OVER: (
        (*_BEFORE_SERVING, Phase.STOPPED, Phase.AWAITING_KEY, Phase.RETAINED),
        Phase.REMOVING,
    ),
    LifecycleEvent.CHANNEL_GONE: (_STANDING, Phase.REMOVING),
    LifecycleEvent.NAMESPACE_LOST: ((Phase.SERVING,), Phase.IMPORTING),
    LifecycleEvent.KEY_LOST: ((*_BEFORE_SERVING, Phase.SERVING, Phase.STOPPED), Phase.AWAITING_KEY),
    LifecycleEvent.TAKEN_OVER: ((Phase.SERVING,), Phase.AWAITING_KEY),
    LifecycleEvent.DELETED: (_STANDING, Phase.REMOVING),
    LifecycleEvent.DELETED_BUT_VOLUMES: (_KEPT, Phase.CLEARING),
    LifecycleEvent.CLEARED: ((Phase.CLEARING,), Phase.RETAINED),
    LifecycleEvent.EVICTED: (_STANDING, Phase.REMOVING),
    LifecycleEvent.REMOVED: ((Phase.REMOVING,), Phase.GONE),
}
"""For each event: the phases in which it counts, and the phase that it leads to."""

TOLD: dict[LifecycleEvent, str] = {
    LifecycleEvent.BUNDLE: "a version of it was accepted",
    LifecycleEvent.BLOBS_COMPLETE: "manifest and images are here; it waits for its payment channel",
    LifecycleEvent.CHANNEL_GOOD: "the payment channel is there; its images go into the registry",
    LifecycleEvent.IMPORTED: "its images are in the registry; a replica starts",
    LifecycleEvent.STARTED: "it runs, and is published",
    LifecycleEvent.FAILED: "it did not start, and is removed",
    LifecycleEvent.FUNDS_OUT: "its money has ended; it is stopped",
    LifecycleEvent.UNLOCK_ANNOUNCED: "notice was given on its channel; it is stopped",
    LifecycleEvent.CHANNEL_CHANGED: "its channel is not the one that was agreed; it is stopped",
    LifecycleEvent.FUNDED: "it is paid for again, and is served",
    LifecycleEvent.GRACE_OVER: "no money came within the grace period; it is removed",
    LifecycleEvent.CHANNEL_GONE: "its channel has ended; it is removed",
    LifecycleEvent.NAMESPACE_LOST: "the cluster has lost it; it is made anew",
    LifecycleEvent.KEY_LOST: "the machine was restarted; it waits for its publisher",
    LifecycleEvent.TAKEN_OVER: "another machine's daemon took over; it waits for its publisher",
    LifecycleEvent.DELETED: "its publisher deleted it",
    LifecycleEvent.DELETED_BUT_VOLUMES: "its publisher deleted it; its volumes stay",
    LifecycleEvent.CLEARED: "nothing but its volumes is left",
    LifecycleEvent.EVICTED: "the operator sent it away",
    LifecycleEvent.REMOVED: "nothing of it is left",
}
"""What the pod's history says of an event that has no reason of its own."""

_OF_RUNNING_ON: dict[LifecycleEvent, Phase] = dict.fromkeys(
    (*_MONEY_ENDS, LifecycleEvent.NAMESPACE_LOST, LifecycleEvent.KEY_LOST), Phase.AWAITING_KEY
)
"""The same of a pod that waits for its key and runs meanwhile: it ends to run, and waits on."""

_OF_RETAINED: dict[LifecycleEvent, Phase] = {
    **dict.fromkeys((*_MONEY_ENDS, LifecycleEvent.FUNDED), Phase.RETAINED),
    LifecycleEvent.NAMESPACE_LOST: Phase.REMOVING,
}
"""The same of a retained pod, where it differs: nothing runs that the end of its money could stop, and with
its namespace all that it was is gone."""

_ON_ENTRY: dict[Phase, tuple[LifecycleCommand, ...]] = {
    Phase.RECEIVED: (LifecycleCommand.WORK,),
    Phase.WAITING_CHANNEL: (LifecycleCommand.WORK,),
    Phase.IMPORTING: (LifecycleCommand.WORK,),
    Phase.STARTING: (LifecycleCommand.WORK,),
    Phase.SERVING: (LifecycleCommand.PUBLISH,),
    Phase.STOPPED: (LifecycleCommand.PARK, LifecycleCommand.SETTLE),
    Phase.CLEARING: (LifecycleCommand.PARK, LifecycleCommand.WORK),
    Phase.RETAINED: (LifecycleCommand.SETTLE,),
    Phase.REMOVING: (LifecycleCommand.PARK, LifecycleCommand.WORK),
    Phase.GONE: (LifecycleCommand.FORGET,),
    Phase.FAILED: (LifecycleCommand.FORGET,),
    Phase.AWAITING_KEY: (LifecycleCommand.PARK, LifecycleCommand.LET_GO),
}


def step(record: PodRecord, event: LifecycleEvent, now: UnixSeconds, reason: str = "") -> LifecycleStep:
    """The record after *event*; the same record and no commands where it does not count."""
    phase = _next_phase(record, event)
    if phase is None:
        return LifecycleStep(record)
    if event is LifecycleEvent.FAILED and record.previous is not None:
        return _roll_back(record, now, reason)
    if event is LifecycleEvent.FUNDED and record.previous is not None:
        return _roll_back(record, now, "its money ended in the middle of an update")
    if record.retained and record.phase in _BEFORE_SERVING and event in _BACK_TO_VOLUMES:
        phase = Phase.CLEARING  # of which nothing is lost
    elif event is LifecycleEvent.FAILED and record.served:
        phase = Phase.SERVING  # it ran before: from here on a failing start is a failing wake-up
    if event is LifecycleEvent.REMOVED and record.failing:
        phase = Phase.FAILED
    after = replace(record, phase=phase, changed_at=now, reason=reason or _kept_reason(record, phase))
    if event is LifecycleEvent.TAKEN_OVER:
        return LifecycleStep(replace(after, previous=None, applied=False))
    proven = (LifecycleCommand.DROP_EARLIER,) if event is LifecycleEvent.STARTED else ()
    return LifecycleStep(_with_marks(after, event, now), _ON_ENTRY[phase] + proven)


def _next_phase(record: PodRecord, event: LifecycleEvent) -> Phase | None:
    counts_in, phase = _NEXT[event]
    if record.phase is Phase.RETAINED and event in _OF_RETAINED:
        return _OF_RETAINED[event]
    if record.runs_on and event in _OF_RUNNING_ON:
        return _OF_RUNNING_ON[event]
    return phase if record.phase in counts_in else None


def _kept_reason(record: PodRecord, phase: Phase) -> str:
    return record.reason if phase in (Phase.REMOVING, Phase.RETAINED, *ENDED) else ""


def _with_marks(record: PodRecord, event: LifecycleEvent, now: UnixSeconds) -> PodRecord:
    match record.phase:
        case Phase.SERVING:
            after = _serving(record, started=event is LifecycleEvent.STARTED)
        case Phase.STOPPED:
            after = replace(record, live=False, stopped_at=now)
        case Phase.CLEARING:
            after = _only_volumes(record)
        case Phase.RETAINED:
            after = replace(record, stopped_at=_money_ended_at(record, event, now), parked_at=None)
        case Phase.REMOVING:
            after = replace(record, live=False, failing=event is LifecycleEvent.FAILED, parked_at=None)
        case Phase.AWAITING_KEY:  # what ran before does not open either, and the facade has other slots now
            after = replace(record, live=False, previous=None, exposures={}, applied=False)
            if event in _MONEY_ENDS:
                after = replace(after, stopped_at=now)
        case Phase.GONE | Phase.FAILED:  # of a bundle that nobody needs any more nothing is kept
            after = replace(record, live=False, request=b"", previous=None, outliving={}, retained=False)
            after = replace(after, parked_at=None)  # also of a stop that came while it was being removed
        case _:
            after = record
    return after


def _money_ended_at(record: PodRecord, event: LifecycleEvent, now: UnixSeconds) -> UnixSeconds | None:
    """Since when a retained pod has its grace period, which begins once: only money ends it."""
    if event is LifecycleEvent.CLEARED:
        return record.stopped_at
    if event in _MONEY_ENDS:
        return now if record.stopped_at is None else record.stopped_at
    return None


def _only_volumes(record: PodRecord) -> PodRecord:
    """What is left of a deleted pod: it has no replica, no image, and no version to go back to."""
    kept = PodSize(0, 0, volume_mib=sum(record.outliving.values()), image_mib=0, scratch_mib=0)
    return replace(
        record,
        live=False,
        retained=True,
        previous=None,
        applied=False,
        exposures={},
        size=kept,
        failing=False,
        parked_at=None,
    )


def _serving(record: PodRecord, *, started: bool) -> PodRecord:
    """The bundle of the record serves; one that has just been proven is a version of its own."""
    newer = started and (record.previous is not None or not record.live)
    version = record.version + 1 if newer else record.version
    return replace(
        record,
        live=True,
        previous=None,
        stopped_at=None,
        failing=False,
        applied=False,
        retained=False,
        version=version,
    )


def _roll_back(record: PodRecord, now: UnixSeconds, reason: str) -> LifecycleStep:
    """A newer bundle failed: back to the one that ran, under the newer generation.

    What the newer one has not touched goes on as it is.
    """
    back = replace(record, request=record.previous or record.request, previous=None, changed_at=now)
    if not record.applied:
        serving = replace(_serving(back, started=False), phase=Phase.SERVING, reason="")
        return LifecycleStep(serving, _ON_ENTRY[Phase.SERVING])
    back = replace(back, live=True, phase=Phase.IMPORTING, reason=f"back to the bundle before: {reason}")
    return LifecycleStep(back, _ON_ENTRY[Phase.IMPORTING])
