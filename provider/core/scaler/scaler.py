# SPDX-License-Identifier: Apache-2.0
"""When a pod sleeps, wakes, grows and shrinks: one state machine per published service.

`step` takes a state, an event and the time (any clock that only goes forward, in seconds) and
returns the next state and commands. They are run in order, and before it reads the pod's
counters again. Each may be repeated: `Serve` and `SetReplicas` say what is wanted, not what to
change, so one that failed is simply run again.

A pod is scaled down only after the proxy has shown, in one reading, that the replica gets nothing
new and serves nothing. A request that comes meanwhile calls it off.

Controllers carry a number of replicas out, and may be far behind: what was asked for a minute ago
can still end a replica now. So after a zero, and of what was scaled away, nothing serves before the
cluster was seen settled: mostly while the pod sleeps, else while it starts.

A pod that may sleep warm has its replicas frozen first, for a while. A frozen replica does not end, so
whatever ends one is preceded by the order to let it run.
"""

import math
from dataclasses import replace

from trustedpods.provider.core.scaler.concurrency import Load
from trustedpods.provider.core.scaler.freezing import held, may_freeze
from trustedpods.provider.core.scaler.told import cap_told
from trustedpods.provider.core.scaler.types import (
    AnswerWakes,
    KeptAwake,
    Limits,
    LimitsSet,
    NotFrozen,
    PodsSeen,
    RefuseWakes,
    ScalePhase,
    ScalerCommand,
    ScalerEvent,
    ScaleState,
    Serve,
    SetReplicas,
    SleepAsked,
    Thawed,
    Tick,
    TrafficSeen,
    WakeAsked,
)
from trustedpods.provider.core.traffic import SlotStats

__all__ = [
    "AnswerWakes",
    "KeptAwake",
    "Limits",
    "LimitsSet",
    "PodsSeen",
    "RefuseWakes",
    "ScalePhase",
    "ScaleState",
    "ScalerCommand",
    "ScalerEvent",
    "Serve",
    "SetReplicas",
    "SleepAsked",
    "Tick",
    "TrafficSeen",
    "WakeAsked",
    "begin",
    "cap_told",
    "rests",
    "step",
]

BACKOFF_FIRST_S = 5.0
BACKOFF_MAX_S = 300.0
HEALTHY_S = 60.0
"""Awake for so long, a pod's earlier failures are forgotten."""

ADOPT_S = 2.0
"""After a restart of the daemon, running replicas keep their requests for so long unconfirmed."""

FUNDS_RETRY_S = 60

IDLE_CONNECTION_LEAST_S = 15.0
"""HAProxy brings the counters of a running connection up to date every five seconds."""

Result = tuple[ScaleState, list[ScalerCommand]]


def begin(limits: Limits, now: float, replicas: int = 0) -> ScaleState:
    """The state of a pod whose workload asks for *replicas* now: new, or met after a restart.

    What the facade serves is unknown at first: it is told with the first event, but where replicas
    run it is left alone for a moment, until it is seen which of them are ready. They may be frozen, too.
    """
    state = ScaleState(limits, ScalePhase.ASLEEP, now, replicas, active=now, moved=now, load=Load(now))
    if not replicas:
        return state
    frozen = limits.warm_for > 0
    return replace(state, phase=ScalePhase.WAKING, adopt_until=now + ADOPT_S, frozen=frozen)


def step(state: ScaleState, event: ScalerEvent, now: float) -> Result:
    """The next state, and what to do."""
    state, commands = _take(state, event, now)
    wanted = Serve(state.serving, state.draining)
    adopting = not state.told and state.phase is ScalePhase.WAKING and now < state.adopt_until
    if not adopting and (wanted != state.served or not state.told):
        state = replace(state, served=wanted, told=True)
        # Before a scale-down, so that nothing new reaches what goes; after an answer costs nothing.
        commands.insert(0, wanted)
    return held(state, commands)


def _take(state: ScaleState, event: ScalerEvent, now: float) -> Result:
    match event:
        case WakeAsked():
            return _on_wake(state, now)
        case SleepAsked() | KeptAwake():
            return _on_word(state, event), []
        case PodsSeen():
            return _on_pods(state, event, now)
        case TrafficSeen(stats):
            return _on_traffic(state, stats, now)
        case Tick() | LimitsSet():
            limits, probing = (state.limits, event.probing) if isinstance(event, Tick) else (event.limits, "")
            return _on_tick(replace(state, limits=limits), now, probing)
        case Thawed() | NotFrozen():
            return _on_freezer(state, event, now)


def rests(state: ScaleState) -> bool:
    """Whether a `Tick` changes and orders nothing, at whatever time: most pods sleep most of the time."""
    if state.phase is not ScalePhase.ASLEEP or not state.told or state.waiting is not None:
        return False
    if state.served.pods or state.served.draining:
        return False
    return state.limits.min == 0 if state.limits.stopped is None else state.replicas == 0


def _on_word(state: ScaleState, event: SleepAsked | KeptAwake) -> ScaleState:
    if isinstance(event, KeptAwake):
        return replace(state, kept_awake=event.kept)
    return replace(state, sleepy=state.phase is ScalePhase.AWAKE and state.limits.min == 0)


def _on_wake(state: ScaleState, now: float) -> Result:
    if state.limits.stopped is not None:
        return state, [RefuseWakes(state.limits.stopped, FUNDS_RETRY_S)]
    if state.phase is ScalePhase.FAILING and now < state.retry_at:
        return state, [RefuseWakes(state.reason, math.ceil(state.retry_at - now))]
    if state.phase in (ScalePhase.ASLEEP, ScalePhase.FAILING):
        return _start(replace(state, waiting=now), now)
    if state.phase is ScalePhase.DRAINING:
        state = replace(state, phase=ScalePhase.AWAKE, since=now)
    if state.phase is ScalePhase.WARM:
        state = replace(state, phase=ScalePhase.WAKING, since=now)
    waiting = now if state.waiting is None else state.waiting
    return _answer(replace(state, waiting=waiting, active=now))


def _start(state: ScaleState, now: float) -> Result:
    count = max(1, state.limits.min)
    state = replace(state, phase=ScalePhase.WAKING, since=now, ready=(), unready=(), leaving=())
    return _ask(state, count)


def _ask(state: ScaleState, count: int, victims: tuple[str, ...] = ()) -> Result:
    """A settled zero is left safely: what is made from then on is made for a later number."""
    settled = state.settled and count > 0
    return replace(state, replicas=count, victims=victims, settled=settled), [SetReplicas(count, victims)]


def _answer(state: ScaleState) -> Result:
    """Answer who waits, if a replica can take requests."""
    if state.waiting is None or not state.serving:
        return state, []
    pod = state.serving[0]
    return replace(state, waiting=None, answered=state.answered | {pod.name}), [AnswerWakes(pod)]


# ---- the cluster -----------------------------------------------------------------------------


def _on_pods(state: ScaleState, event: PodsSeen, now: float) -> Result:
    listed = {pod.name for pod in (*event.ready, *event.unready)}
    settled = event.settled and event.replicas in (None, state.replicas)
    retired = () if settled else tuple(name for name in state.retired if name in listed)
    state = replace(
        state,
        settled=state.settled or settled,
        retired=retired,
        ready=tuple(sorted(pod for pod in event.ready if pod.name not in retired)),
        unready=tuple(sorted(pod for pod in event.unready if pod.name not in retired)),
        leaving=tuple(name for name in state.leaving if name in listed),
    )
    if state.phase is ScalePhase.WARM and not may_freeze(state, event.replicas):
        return _sleep(state, now)
    state, commands = _reconcile(state, event.replicas)
    state, more = _on_ready(state, event.failure, now)
    return state, commands + more


def _reconcile(state: ScaleState, observed: int | None) -> Result:
    """Ask again for what was not done. More than was asked for is shrunk like any other surplus."""
    if observed is None:
        return state, []
    if observed == state.replicas:
        return replace(state, victims=()), []
    listed = {pod.name for pod in (*state.ready, *state.unready)}.union(state.retired)
    going = len(listed.intersection(state.victims))
    resting = state.phase in (ScalePhase.ASLEEP, ScalePhase.FAILING)
    if observed - state.replicas > going and not resting:
        return replace(state, replicas=observed, victims=()), []
    return state, [SetReplicas(state.replicas, state.victims)]


def _on_ready(state: ScaleState, failure: str | None, now: float) -> Result:
    usable = state.ready and state.settled and state.replicas and not state.frozen
    if usable and state.phase in (ScalePhase.WAKING, ScalePhase.FAILING):
        state = replace(
            state, phase=ScalePhase.AWAKE, since=now, active=now, load=Load(now), leaving=(), sleepy=False
        )
    if not state.ready and state.phase is ScalePhase.AWAKE:
        state = replace(state, phase=ScalePhase.WAKING, since=now, leaving=())
    if state.phase is ScalePhase.AWAKE and not state.serving:
        state = replace(state, leaving=())
    if failure and not state.ready and state.phase is ScalePhase.WAKING:
        return _fail(state, failure, now)
    return _answer(state)


def _on_freezer(state: ScaleState, event: Thawed | NotFrozen, now: float) -> Result:
    """What may be frozen still is thawed before it goes, whoever let it go."""
    if isinstance(event, Thawed):
        return _on_ready(replace(state, frozen=False, thawing=False), None, now)
    return _sleep(state, now) if state.phase is ScalePhase.WARM else (state, [])


def _fail(state: ScaleState, reason: str, now: float) -> Result:
    """Stop trying for a while; a pod that must always run goes on trying by itself."""
    pause = min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2 ** min(state.failures, 10))
    commands: list[ScalerCommand] = []
    if state.waiting is not None:
        commands.append(RefuseWakes(reason, math.ceil(pause)))
    state = replace(
        state,
        phase=ScalePhase.FAILING,
        since=now,
        failures=state.failures + 1,
        retry_at=now + pause,
        reason=reason,
        waiting=None,
        ready=(),
        unready=(),
    )
    if state.replicas != state.limits.min:
        state, more = _ask(state, state.limits.min)
        commands += more
    return state, commands


# ---- traffic ---------------------------------------------------------------------------------


def _on_traffic(state: ScaleState, stats: SlotStats, now: float) -> Result:
    counters = (stats.boot, stats.total, stats.bytes_in + stats.bytes_out + stats.led)
    moved = state.moved if counters == state.counters or state.counters is None else now
    silence = max(IDLE_CONNECTION_LEAST_S, state.limits.idle_connection)
    busy = stats.current > 0 and now - moved < silence
    state = replace(
        state,
        counters=counters,
        moved=moved,
        active=now if busy or moved == now else state.active,
        load=state.load.add(now, stats.current),
        answered=state.answered if stats.held else frozenset(),
    )
    if state.phase is ScalePhase.DRAINING and not busy and not any(pod.serving for pod in stats.pods):
        return _rest(state, now)
    if state.phase is ScalePhase.AWAKE:
        return _fit(state, stats, now)
    return state, []


def _rest(state: ScaleState, now: float) -> Result:
    """Warm, if it may be so and nothing is unsure about its replicas; else cold."""
    if state.limits.warm_for > 0 and may_freeze(state):
        return replace(state, phase=ScalePhase.WARM, since=now, leaving=(), answered=frozenset()), []
    return _sleep(state, now)


def _sleep(state: ScaleState, now: float) -> Result:
    names = tuple(pod.name for pod in (*state.ready, *state.unready))
    state = replace(
        state,
        phase=ScalePhase.ASLEEP,
        since=now,
        ready=(),
        unready=(),
        leaving=(),
        answered=frozenset(),
        retired=(),
    )
    return _ask(state, 0, names)


def _fit(state: ScaleState, stats: SlotStats, now: float) -> Result:
    """Make an awake pod larger, smaller, or let it go to sleep."""
    if now - state.since >= HEALTHY_S:
        state = replace(state, failures=0)
    wanted = _wanted(state, now)
    if wanted > state.replicas:
        return _ask(replace(state, leaving=()), wanted)
    idle = now - state.active
    idles = idle >= state.limits.idle_after or (state.sleepy and idle > 0)
    if state.limits.min == 0 and idles and not state.kept_awake:
        return replace(state, phase=ScalePhase.DRAINING, since=now, leaving=(), sleepy=False), []
    if wanted == state.replicas:
        return replace(state, leaving=()), []
    return _shrink(state, stats, wanted, now)


def _wanted(state: ScaleState, now: float) -> int:
    wanted = state.load.replicas(now, state.replicas, state.limits.concurrency)
    return min(state.limits.most, max(1, state.limits.min, wanted))


def _shrink(state: ScaleState, stats: SlotStats, wanted: int, now: float) -> Result:
    """Choose who goes; when they have finished, scale down."""
    surplus = max(0, len(state.ready) - wanted)
    if len(state.leaving) != surplus:
        # Those that the activator was sent to come last: their requests cannot be told apart.
        order = sorted(state.ready, key=lambda pod: (pod.name in state.answered, pod.name in state.leaving))
        leaving = tuple(pod.name for pod in order[:surplus])
        if leaving:
            return replace(state, leaving=leaving), []
    victims = (*state.leaving, *(pod.name for pod in state.unready))
    if any(_busy(name, state, stats) for name in victims):
        return state, []
    # Those that were to go earlier and are still there serve nothing either: let them go first.
    gone = (*victims, *(name for name in state.retired if name not in victims))
    stay = tuple(pod for pod in state.ready if pod.name not in victims)
    return _ask(replace(state, leaving=(), retired=gone, ready=stay), wanted, gone)


def _busy(name: str, state: ScaleState, stats: SlotStats) -> bool:
    """Whether a leaving replica may still get or serve requests, as far as *stats* shows."""
    if name in state.answered and stats.held:
        return True
    return any(pod.name == name and (pod.serving or pod.current) for pod in stats.pods)


# ---- time ------------------------------------------------------------------------------------


def _on_tick(state: ScaleState, now: float, probing: str = "") -> Result:
    limits = state.limits
    if limits.stopped is not None:
        return _stop(state, limits.stopped, now)
    if limits.min and state.phase is not ScalePhase.WAKING:
        return _keep_up(state, now)
    if state.phase is ScalePhase.WARM and now - state.since >= limits.warm_for:
        return _sleep(state, now)
    if state.phase is ScalePhase.WAKING and state.replicas < limits.min:
        return _ask(state, limits.min)
    return _overdue(state, f": {probing}" if probing else "", now)


def _overdue(state: ScaleState, probed: str, now: float) -> Result:
    """A start, or a wait for one, that has taken too long."""
    limits = state.limits
    if state.phase is ScalePhase.WAKING and now - state.since >= limits.start_limit:
        return _fail(state, f"not ready within {limits.start_limit:g} s{probed}", now)
    if state.waiting is not None and now - state.waiting >= limits.wake_limit:
        late = f"not ready within {limits.wake_limit:g} s{probed}"
        return replace(state, waiting=None), [RefuseWakes(late, math.ceil(BACKOFF_FIRST_S))]
    return state, []


def _keep_up(state: ScaleState, now: float) -> Result:
    """A pod with a least number of replicas is started, and never drained, by itself."""
    if state.phase is ScalePhase.ASLEEP or (state.phase is ScalePhase.FAILING and now >= state.retry_at):
        return _start(state, now)
    if state.phase is ScalePhase.DRAINING:
        return _answer(replace(state, phase=ScalePhase.AWAKE, since=now))
    if state.phase is ScalePhase.WARM:
        return replace(state, phase=ScalePhase.WAKING, since=now), []
    if state.phase is ScalePhase.AWAKE and state.replicas < state.limits.min:
        return _ask(state, state.limits.min)
    return state, []


def _stop(state: ScaleState, reason: str, now: float) -> Result:
    commands: list[ScalerCommand] = [RefuseWakes(reason, FUNDS_RETRY_S)] if state.waiting is not None else []
    state = replace(state, failures=0)  # what runs again later has not failed yet
    if state.phase is ScalePhase.ASLEEP and state.replicas == 0:
        return replace(state, waiting=None), commands
    state, more = _sleep(replace(state, waiting=None), now)
    return state, commands + more
