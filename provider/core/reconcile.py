# SPDX-License-Identifier: Apache-2.0
"""Store, chain, cluster and facade are four facts that drift; this says what follows.

It decides over pods at rest, and over the money of those that an update keeps under way; all else of these
belongs to their keeper. A fact that could not be read is None or `Read.UNKNOWN` and never leads to an end.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from trustedpods.contracts.records import Channel
from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.core import funds
from trustedpods.provider.core.lifecycle import LifecycleCommand, LifecycleEvent
from trustedpods.provider.core.pod import Phase, PodRecord

KEY_LOST_REASON = "the machine was restarted: the pod waits until its publisher's client releases it again"
"""What a publisher reads of a pod whose key went with a reboot."""

TAKEN_OVER_REASON = (
    "another machine took over: what runs goes on, until the publisher's client releases the pod"
)
"""The same where the replicas did not go with the key."""


class Read(StrEnum):
    """What a look at another system told."""

    UNKNOWN = "unknown"
    PRESENT = "present"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class PodFacts:
    """Everything that is known of one pod now.

    `runway_s` is None while the money lasts for ever or is not known; `revivable` is only asked of
    a stopped pod. `departed` says how the channel differs from what was agreed.
    """

    now: UnixSeconds
    key_held: bool
    channel: Read
    unlock_at: UnixSeconds
    namespace: Read
    published: Read
    replicas: int | None
    runway_s: int | None
    revivable: bool
    departed: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """At most one event, and commands that repair what drifted."""

    event: LifecycleEvent | None = None
    reason: str = ""
    commands: tuple[LifecycleCommand, ...] = ()


@dataclass(frozen=True, slots=True)
class OperatorTimes:
    """The operator's times, in seconds."""

    grace_s: int
    warn_before_s: int


class Undisturbed(NamedTuple):
    """What a look at a serving pod went by when it found nothing to do; by the same, it finds the same.

    The namespaces are told by the number of times that they were seen to be others.
    """

    record: PodRecord
    channel: Channel | None
    money: object
    namespaces: int


_AT_REST = (Phase.SERVING, Phase.STOPPED, Phase.AWAITING_KEY, Phase.RETAINED)


def decide(pod: PodRecord, facts: PodFacts, policy: OperatorTimes) -> Decision:
    """What to do about a pod that is serving, stopped, waiting for its key, or being updated."""
    if not (pod.watched_while_waiting or pod.phase in _AT_REST):
        return Decision()
    if facts.channel is Read.ABSENT:
        return Decision(LifecycleEvent.CHANNEL_GONE, "the channel was closed on chain")
    if not facts.key_held and pod.phase not in (Phase.AWAITING_KEY, Phase.RETAINED):
        return Decision(LifecycleEvent.KEY_LOST, KEY_LOST_REASON)
    if pod.phase is Phase.SERVING:
        return _serving(facts)
    follows = {
        Phase.STOPPED: _stopped,
        Phase.AWAITING_KEY: _awaiting,
        Phase.RETAINED: _retained,
    }.get(pod.phase, _updating)
    return follows(pod, facts, policy)


def nothing_can_follow(pod: PodRecord, facts: PodFacts, decision: Decision) -> bool:
    """Whether the same facts, at any later time, decide the same: nothing, for a pod that serves.

    A fact that could not be read may be read the next time, and where the phase is another the time decides.
    """
    unread = Read.UNKNOWN in (facts.channel, facts.namespace) or facts.departed is not None
    return decision == Decision() and pod.phase is Phase.SERVING and pod.other is None and not unread


def books_behind(known: UnixSeconds, claimed: UnixSeconds, paid: UnixSeconds) -> bool:
    """Whether the chain *paid* up to a time that no claim in these books reaches.

    *known* is the chain's `upTo` as last stored, *claimed* the newest end of a stored claim.
    """
    return paid > max(known, claimed)


def _unpaid(facts: PodFacts) -> Decision | None:
    """Why nothing may run any longer; None where it may."""
    if facts.departed is not None:
        return Decision(LifecycleEvent.CHANNEL_CHANGED, facts.departed)
    if facts.unlock_at:
        return Decision(
            LifecycleEvent.UNLOCK_ANNOUNCED, f"the publisher unlocks the deposit at {facts.unlock_at}"
        )
    if funds.must_stop(facts.runway_s):
        return Decision(
            LifecycleEvent.FUNDS_OUT, "the deposit is used up, except for what the grace period costs"
        )
    return None


def _updating(pod: PodRecord, facts: PodFacts, policy: OperatorTimes) -> Decision:
    """The version before runs, or had to stop: its money ends as if nothing were on its way."""
    if pod.live or (pod.retained and pod.stopped_at is None):
        return _unpaid(facts) or Decision()
    paid = facts.revivable and not facts.unlock_at and facts.departed is None
    if paid or pod.stopped_at is None:
        return Decision()
    return _grace_over(pod.stopped_at, facts, policy) or Decision()


def _serving(facts: PodFacts) -> Decision:
    if (over := _unpaid(facts)) is not None:
        return over
    if facts.namespace is Read.ABSENT:
        return Decision(LifecycleEvent.NAMESPACE_LOST, "the namespace vanished from the cluster")
    if facts.published is Read.ABSENT:
        return Decision(commands=(LifecycleCommand.PUBLISH,))
    return Decision()


def _stopped(pod: PodRecord, facts: PodFacts, policy: OperatorTimes) -> Decision:
    since = pod.stopped_at if pod.stopped_at is not None else pod.changed_at
    if facts.revivable and not facts.unlock_at and facts.departed is None:
        return Decision(LifecycleEvent.FUNDED, "money is there again")
    return _grace_over(since, facts, policy) or _parked(facts)


def _awaiting(pod: PodRecord, facts: PodFacts, policy: OperatorTimes) -> Decision:
    """A pod without its key is kept and not billed, unless its money had run out before, or it runs on."""
    if pod.runs_on:
        lost = facts.namespace is Read.ABSENT
        gone = Decision(LifecycleEvent.NAMESPACE_LOST, "the namespace vanished from the cluster")
        return gone if lost else _unpaid(facts) or Decision()
    over = None if pod.stopped_at is None else _grace_over(pod.stopped_at, facts, policy)
    parked = _parked(facts)
    if parked.commands and pod.phase is Phase.AWAITING_KEY:  # it was killed, or failed, as it ended to run
        parked = Decision(commands=(*parked.commands, LifecycleCommand.LET_GO))
    return over or parked


def _retained(pod: PodRecord, facts: PodFacts, policy: OperatorTimes) -> Decision:
    """Volumes of a deleted pod: when their money ends they have the grace period that any volume has.

    They outlive the key too; what was stored since it went is not billed, as of any pod without its key.
    """
    if facts.namespace is Read.ABSENT:
        return Decision(LifecycleEvent.NAMESPACE_LOST, "its volumes vanished from the cluster")
    if not facts.key_held:
        return _awaiting(pod, facts, policy)
    if pod.stopped_at is None:
        return _unpaid(facts) or _parked(facts)
    if facts.revivable and not facts.unlock_at and facts.departed is None:
        return Decision(LifecycleEvent.FUNDED, "money is there again")
    return _grace_over(pod.stopped_at, facts, policy) or _parked(facts)


def _grace_over(since: UnixSeconds, facts: PodFacts, policy: OperatorTimes) -> Decision | None:
    """The end of the grace, only once the chain itself shows that no top-up came."""
    if facts.channel is Read.PRESENT and funds.grace_over(since, facts.unlock_at, policy.grace_s, facts.now):
        return Decision(
            LifecycleEvent.GRACE_OVER, f"no money came within the grace period of {policy.grace_s} s"
        )
    return None


def _parked(facts: PodFacts) -> Decision:
    """A pod that must not run: take replicas back, whoever set them."""
    if facts.replicas:
        return Decision(commands=(LifecycleCommand.PARK,))
    return Decision()
