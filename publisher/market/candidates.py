# SPDX-License-Identifier: Apache-2.0
"""The first provider that answers, proves what it is, and takes the pod."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

from trustedpods.protocol.errors import EvidenceRefused, NetworkFailure, Refused, TrustedPodsError
from trustedpods.protocol.messages.admission import AdmitBody, Admitted
from trustedpods.publisher.core.dialling import head_start_s, wave
from trustedpods.publisher.journal import Journal, Step
from trustedpods.publisher.market.attempts import Attempts
from trustedpods.publisher.market.probe import Candidate, ProviderProbe, provider_name
from trustedpods.publisher.market.profiles import PROVE_WITHIN_S, check_offered
from trustedpods.publisher.market.session import Publisher, Session, next_generation
from trustedpods.publisher.parallel import open_nursery

if TYPE_CHECKING:
    from trustedpods.protocol.attestation.policy.policy import Policy
    from trustedpods.protocol.net import Host

__all__ = ["Candidate", "Reached", "first_that_takes", "provider_name"]

WAVE_S = 1.0
"""Honest providers prove themselves in half a second; behind that more are dialled beside them."""

ADMIT_WITHIN_S = 15.0


@dataclass(frozen=True, slots=True)
class Reached:
    """The provider that takes the pod."""

    candidate: Candidate
    session: Session


@asynccontextmanager
async def first_that_takes(
    host: "Host",
    publisher: Publisher,
    candidates: Sequence[Candidate],
    policy: "Policy",
    ask: AdmitBody,
    journal: Journal,
    step: Step,
) -> AsyncIterator[Reached]:
    """The best of *candidates* that answers; those that fail are said, with the reason, and kept in *step*.

    They are dialled side by side, more with each second in which none answers; whether the pod may come is
    asked one after another, best first. Better ones that are silent then are listened to until the end, to
    know the next time what they are. Raises what the last of them said, or the first refused evidence,
    when none is left, and `NetworkFailure` (rule `select-time`) after `Timing.select_s`.
    """
    attempts = Attempts(journal, step)
    probes = [ProviderProbe(candidate) for candidate in attempts.in_order(candidates)]
    async with open_nursery() as nursery:
        within_s = PROVE_WITHIN_S if len(probes) > 1 else float("inf")  # else those of a session hold
        nursery.start_soon(_dial_in_waves, nursery, probes, (host, publisher, policy, within_s))
        try:
            with trio.fail_after(publisher.timing.select_s):
                chosen = await _first(probes, ask, attempts)
        except trio.TooSlowError:
            raise NetworkFailure(
                f"no provider was found within {publisher.timing.select_s:g} s, {attempts.count} were tried",
                rule="select-time",
                hint="run it again: those that failed come last then; or name one with --provider",
            ) from None
        finally:
            attempts.keep()
        _leave(probes, chosen[0])
        try:
            yield Reached(chosen[0].candidate, chosen[1])
        finally:
            attempts.after(probes)
            attempts.keep()
        nursery.cancel_scope.cancel()


def _leave(probes: Sequence[ProviderProbe], chosen: ProviderProbe) -> None:
    """Who is worse is not asked any further; who is better and silent may still say what it is."""
    number = probes.index(chosen)
    for probe in probes[:number]:
        probe.let_go.set()
    for probe in probes[number + 1 :]:
        probe.stop()


async def _dial_in_waves(
    nursery: trio.Nursery, probes: Sequence[ProviderProbe], how: tuple["Host", Publisher, "Policy", float]
) -> None:
    """The best few together, then more while none of those that are under way is known to answer."""
    started = 0
    for number in range(len(probes)):
        for probe in probes[started : started + wave(number)]:
            nursery.start_soon(probe.run, *how)
        started += wave(number)
        with trio.move_on_after(WAVE_S):
            await _until_all_known(probes[:started])
        while started < len(probes) and _someone(probes[:started]):  # noqa: ASYNC110
            await trio.sleep(WAVE_S)  # it may still refuse the pod, which tells nobody here
        if started >= len(probes):
            return


async def _until_all_known(probes: Sequence[ProviderProbe]) -> None:
    for probe in probes:
        await probe.known.wait()


def _someone(probes: Sequence[ProviderProbe]) -> bool:
    return any(isinstance(probe.outcome, Session) and not probe.let_go.is_set() for probe in probes)


async def _first(
    probes: Sequence[ProviderProbe], ask: AdmitBody, attempts: Attempts
) -> tuple[ProviderProbe, Session]:
    """The best that has proved itself and takes the pod; better ones that are silent get a little time."""
    left = list(probes)
    while left:
        probe = await _next_known(left)
        left.remove(probe)
        outcome = probe.outcome
        if isinstance(outcome, Session):
            try:
                await _ask(outcome, probe.candidate, ask)
            except TrustedPodsError as error:
                outcome = error
            else:
                attempts.took(probe)
                return probe, outcome
        assert isinstance(outcome, TrustedPodsError)
        probe.let_go.set()
        attempts.failed(probe, outcome)
    raise _most_telling(attempts.failures)


async def _next_known(left: Sequence[ProviderProbe]) -> ProviderProbe:
    """One that failed, or the best that has proved itself once who is better had its head start."""
    await _any_known(left)
    while True:
        failed_one = next((probe for probe in left if isinstance(probe.outcome, TrustedPodsError)), None)
        if failed_one is not None:
            return failed_one
        best = next(probe for probe in left if probe.outcome is not None)
        better, head = left[: left.index(best)], head_start_s(best.known_at - best.dialled_at)
        with trio.move_on_at(max((one.dialled_at for one in better), default=0.0) + head) as scope:
            if better:
                await _any_known(better)
        if scope.cancelled_caught or not better:
            return best


async def _any_known(probes: Sequence[ProviderProbe]) -> None:
    async with trio.open_nursery() as nursery:

        async def wait(probe: ProviderProbe) -> None:
            await probe.known.wait()
            nursery.cancel_scope.cancel()

        for probe in probes:
            nursery.start_soon(wait, probe)


async def _ask(session: Session, candidate: Candidate, ask: AdmitBody) -> None:
    """Whether the pod can run there and may come; one that is there already need not ask the latter."""
    check_offered(ask, session.profile.capabilities)
    if candidate.location.channel is not None:
        return
    with trio.move_on_after(ADMIT_WITHIN_S):
        await session.ask("admit", candidate.location.ref, ask, next_generation(), Admitted)
        return
    raise NetworkFailure(
        f"it does not say within {ADMIT_WITHIN_S:g} s whether the pod may come", rule="timeout"
    )


def _most_telling(failures: Sequence[TrustedPodsError]) -> TrustedPodsError:
    if not failures:
        return Refused("no provider can take the pod", rule="no-provider")
    told = next((error for error in failures if isinstance(error, EvidenceRefused)), failures[-1])
    if len(failures) > 1:
        told.what = f"{told.what}; none of the {len(failures)} providers that were asked takes the pod"
    return told
