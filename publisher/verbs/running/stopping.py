# SPDX-License-Identifier: Apache-2.0
"""`stop` and `start`: a pod without replicas until it is wanted again; all else of it stays."""

import math
from typing import Literal

import trio

from trustedpods.protocol.errors import NetworkFailure, Refused
from trustedpods.protocol.messages.pod import PodStatus, StartBody, StopBody
from trustedpods.protocol.units import UnixSeconds
from trustedpods.publisher.core.money import duration_text
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.market.session import next_generation
from trustedpods.publisher.results.pods import StoppedPod, VisitProgress
from trustedpods.publisher.verbs.aftermath import in_turn
from trustedpods.publisher.verbs.pods import visit
from trustedpods.publisher.visits.visit import Visit

STOP_WAIT_S = 60.0
"""Twice the time that a replica has to end unless its manifest says otherwise."""

START_WAIT_S = 300.0
"""A cold start with its probes; a pod that sleeps until it is asked for is not waited for."""


async def stop(
    account: MarketAccount, name: str, progress: VisitProgress, journal: Journal, wait_s: float = STOP_WAIT_S
) -> StoppedPod:
    """Have the pod stopped; returns once no replica is left, within *wait_s* seconds (0: nobody waits).

    It may be repeated. Raises `Refused` (rule `not-serving`) where nothing of it could run, `NetworkFailure`
    (rule `timeout`) where replicas are still ending, and what a visit raises.
    """
    return await _turn(account, name, "stop", progress, journal, wait_s)


async def start(
    account: MarketAccount, name: str, progress: VisitProgress, journal: Journal, wait_s: float = START_WAIT_S
) -> StoppedPod:
    """Let a stopped pod run again; returns once as many replicas as always run are ready.

    Raises as `stop` does, and `Refused` (rule `start`) where it does not start.
    """
    return await _turn(account, name, "start", progress, journal, wait_s)


async def _turn(
    account: MarketAccount,
    name: str,
    verb: Literal["stop", "start"],
    progress: VisitProgress,
    journal: Journal,
    wait_s: float,
) -> StoppedPod:
    deadline = trio.current_time() + wait_s  # for its turn and its replicas together
    async with in_turn(account, name, verb, journal), visit(account, name, progress, journal) as visited:
        body, ref = StopBody() if verb == "stop" else StartBody(), visited.location.ref
        status = await visited.session.ask(verb, ref, body, next_generation(), PodStatus)
        journal.event("stopped" if verb == "stop" else "started", f"{name}: the provider has taken it")
        status = await _until(visited, status, name, wait_s, deadline, stopped=verb == "stop")
    since = None if status.parked_at is None else UnixSeconds(status.parked_at)
    return StoppedPod(progress.visited(), status.phase, since, status.replicas, status.ready, status.runway_s)


async def _until(
    visited: Visit, status: PodStatus, name: str, wait_s: float, deadline: float, *, stopped: bool
) -> PodStatus:
    """Ask until it is as it was wanted; not at all where *wait_s* is 0, or nothing is to come by itself."""
    while wait_s and not _is_so(status, stopped=stopped):
        if not stopped and status.failure is not None:
            raise Refused(
                f"{name} does not start: {status.failure.reason}",
                rule="start",
                hint=f"`trustedpods status {name}` shows its last lines; it is tried again",
            )
        if trio.current_time() >= deadline:
            what = "replicas of it are still ending" if stopped else "it is not ready"
            raise NetworkFailure(
                f"{what} after {duration_text(math.ceil(wait_s))}",
                where=name,
                rule="timeout",
                hint=f"its provider goes on; `trustedpods status {name}` says how far it is",
            )
        await trio.sleep(visited.account.timing.update_look_s)
        status = await visited.status()
    return status


def _is_so(status: PodStatus, *, stopped: bool) -> bool:
    """Whether nothing is to be waited for: a pod without money, or in an update, comes later."""
    if stopped:
        return status.replicas == 0
    return status.phase not in ("serving", "failing") or status.ready >= status.least_replicas
