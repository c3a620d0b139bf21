# SPDX-License-Identifier: Apache-2.0
"""When replicas of an idle pod are frozen instead of ended, and when they must run again."""

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum

from trustedpods.provider.core.scaler.types import ScalePhase, ScalerCommand, ScaleState, SetFrozen

LEAST_FREE_PERCENT = 10
"""Of a node's memory: with less of it available the oldest sleeper's replicas go, one pod at a look."""

LEND_AFTER_S = 10.0
"""Who is asked for so soon after falling asleep finds nothing under way that has to be undone."""


class CpuMove(StrEnum):
    """What is asked of the cluster for one replica's CPU."""

    LEND = "lend"
    """The scheduler may give it to others."""
    RECLAIM = "reclaim"
    """All that it has awake; where others have the room, the node is over-committed until they end."""


def held(state: ScaleState, commands: list[ScalerCommand]) -> tuple[ScaleState, list[ScalerCommand]]:
    """Replicas of a pod that sleeps warm are frozen, last of all; all others run, before anything else."""
    if state.phase is ScalePhase.WARM:
        if not state.frozen:
            return replace(state, frozen=True), [*commands, SetFrozen(frozen=True)]
    elif state.frozen and not state.thawing:
        return replace(state, thawing=True), [SetFrozen(frozen=False), *commands]
    return state, commands


def may_freeze(state: ScaleState, observed: int | None = None) -> bool:
    """Every replica that was asked for is ready, and there is no other, nor one about to go."""
    unsure = state.unready or state.retired or state.victims or observed not in (None, state.replicas)
    return state.settled and not unsure and len(state.ready) == state.replicas


def pressed(total: int, available: int) -> bool:
    """Whether a node has too little memory for pods that sleep in it; bytes."""
    return available * 100 < total * LEAST_FREE_PERCENT


def to_go(since: Mapping[str, float]) -> str | None:
    """Of sleepers, by when each fell asleep, the one that goes first; None where there is none."""
    return min(since, key=lambda name: (since[name], name), default=None)


def cpu_move(frozen_s: float | None, *, lent: bool, restored: bool) -> CpuMove | None:
    """What to ask for a replica that has been frozen for so many seconds (None: it runs), if anything.

    *lent*: the scheduler may have its CPU. It lends only if its node's agent has it *restored* at the thaw:
    a wake waits for no scheduler. So a wake is answered also where others took the room meanwhile: then CPU
    is shared by weight until there is room, and nobody else is put on the node. No sleeper goes for it, as
    one that is frozen holds no CPU.
    """
    if frozen_s is None:
        return CpuMove.RECLAIM if lent else None
    return CpuMove.LEND if restored and not lent and frozen_s >= LEND_AFTER_S else None
