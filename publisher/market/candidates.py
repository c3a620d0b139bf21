# SPDX-License-Identifier: Apache-2.0
"""The first provider that answers, proves what it is, and takes the pod."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import trio

from trustedpods.contracts.registry_rows import RegistryRow
from trustedpods.protocol.attestation.policy.policy import Policy
from trustedpods.protocol.errors import EvidenceRefused, NetworkFailure, Refused, TrustedPodsError
from trustedpods.protocol.messages.admission import AdmitBody, Admitted
from trustedpods.protocol.net import Host
from trustedpods.protocol.units import UnixSeconds
from trustedpods.publisher.context import state_dir
from trustedpods.publisher.core.dialling import failed, wave
from trustedpods.publisher.core.select import Offer
from trustedpods.publisher.journal import Journal, Step, error_facts
from trustedpods.publisher.market.dial_failures import keep_failures, known_failures
from trustedpods.publisher.market.locations import PodLocation
from trustedpods.publisher.market.session import Publisher, Session, next_generation, open_session
from trustedpods.publisher.parallel import open_nursery

WAVE_S = 1.0
"""Honest providers prove themselves in half a second; behind that more are dialled beside them."""

HEAD_START_S = 2.0
"""How long a dearer provider that has answered waits for cheaper ones that are still silent."""

PROVE_WITHIN_S = 12.0
"""Dialling a machine on the other side of the world, a busy one's report, and its verification."""

ADMIT_WITHIN_S = 15.0
SELECT_WITHIN_S = 90.0
"""All of it: at 32 a second more than two thousand silent rows."""

MAX_WARNINGS = 8
"""Providers of which it is said why not; the rest is for programs."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A provider to try, with the channel that the pod has there, if any."""

    offer: Offer
    place: PodLocation


@dataclass(frozen=True, slots=True)
class Reached:
    """The provider that takes the pod."""

    candidate: Candidate
    session: Session


class _Probe:
    """One candidate being dialled and attested, in a task that holds its connection until it is let go."""

    def __init__(self, candidate: Candidate) -> None:
        self.candidate = candidate
        self.name = provider_name(candidate.offer.row)
        self.outcome: Session | TrustedPodsError | None = None
        self.known = trio.Event()
        self.known_at = 0.0
        self.began: float | None = None
        self.let_go = trio.Event()

    async def run(self, host: Host, publisher: Publisher, policy: Policy) -> None:
        """Never raises ours; nothing but a nonce is sent to a provider that is only looked at."""
        self.began = trio.current_time()
        try:
            async with AsyncExitStack() as stack:
                opening = open_session(host, publisher, self.candidate.offer.row, policy)
                try:
                    with trio.fail_after(PROVE_WITHIN_S):
                        session = await stack.enter_async_context(opening)
                except trio.TooSlowError:
                    raise NetworkFailure(
                        f"it does not prove itself within {PROVE_WITHIN_S:g} s", rule="timeout"
                    ) from None
                self._tell(session)
                await self.let_go.wait()
        except TrustedPodsError as error:
            self._tell(error)  # after it was told, the conversation itself has said what broke

    @property
    def silent(self) -> bool:
        """Whether nothing was heard of it for longer than an honest one needs."""
        waited = 0.0 if self.began is None else trio.current_time() - self.began
        return not self.known.is_set() and waited >= HEAD_START_S

    def _tell(self, outcome: Session | TrustedPodsError) -> None:
        if self.outcome is None:
            self.outcome, self.known_at = outcome, trio.current_time()
            self.known.set()


@asynccontextmanager
async def first_that_takes(
    host: Host,
    publisher: Publisher,
    candidates: Sequence[Candidate],
    policy: Policy,
    ask: AdmitBody,
    journal: Journal,
    step: Step,
) -> AsyncIterator[Reached]:
    """The best of *candidates* that answers; those that fail are said, with the reason, and kept in *step*.

    They are dialled side by side, more with each second in which none answers; whether the pod may come is
    asked one after another, best first. Raises what the last of them said, or the first refused evidence,
    when none is left, and `NetworkFailure` (rule `select-time`) after `SELECT_WITHIN_S`.
    """
    report = _Report(journal, step)
    probes = [_Probe(candidate) for candidate in report.in_order(candidates)]
    async with open_nursery() as nursery:
        nursery.start_soon(_dial_in_waves, nursery, probes, (host, publisher, policy))
        try:
            with trio.fail_after(SELECT_WITHIN_S):
                chosen = await _first(probes, ask, report)
                report.silent(probes)
        except trio.TooSlowError:
            raise NetworkFailure(
                f"no provider was found within {SELECT_WITHIN_S:g} s, {report.count} were tried",
                rule="select-time",
                hint="run it again: those that failed come last then; or name one with --provider",
            ) from None
        finally:
            report.keep()
        for probe in probes:
            if probe is not chosen[0]:
                probe.let_go.set()
        yield Reached(chosen[0].candidate, chosen[1])
        nursery.cancel_scope.cancel()


async def _dial_in_waves(
    nursery: trio.Nursery, probes: Sequence[_Probe], how: tuple[Host, Publisher, Policy]
) -> None:
    """The first alone, as it mostly answers; more while none of those that are under way is known to."""
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


async def _until_all_known(probes: Sequence[_Probe]) -> None:
    for probe in probes:
        await probe.known.wait()


def _someone(probes: Sequence[_Probe]) -> bool:
    return any(isinstance(probe.outcome, Session) and not probe.let_go.is_set() for probe in probes)


async def _first(probes: Sequence[_Probe], ask: AdmitBody, report: "_Report") -> tuple[_Probe, Session]:
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
                report.took(probe)
                return probe, outcome
        assert isinstance(outcome, TrustedPodsError)
        probe.let_go.set()
        report.failed(probe, outcome)
    raise _most_telling(report.failures)


async def _next_known(left: Sequence[_Probe]) -> _Probe:
    """One that failed, or the best that has proved itself once who is better had `HEAD_START_S`."""
    await _any_known(left)
    while True:
        failed_one = next((probe for probe in left if isinstance(probe.outcome, TrustedPodsError)), None)
        if failed_one is not None:
            return failed_one
        best = next(probe for probe in left if probe.outcome is not None)
        better = left[: left.index(best)]
        with trio.move_on_at(best.known_at + HEAD_START_S) as scope:
            if better:
                await _any_known(better)
        if scope.cancelled_caught or not better:
            return best


async def _any_known(probes: Sequence[_Probe]) -> None:
    async with trio.open_nursery() as nursery:

        async def wait(probe: _Probe) -> None:
            await probe.known.wait()
            nursery.cancel_scope.cancel()

        for probe in probes:
            nursery.start_soon(wait, probe)


async def _ask(session: Session, candidate: Candidate, ask: AdmitBody) -> None:
    """Whether the pod may come; one that is there already need not ask."""
    if candidate.place.channel is not None:
        return
    with trio.move_on_after(ADMIT_WITHIN_S):
        await session.ask("admit", candidate.place.ref, ask, next_generation(), Admitted)
        return
    raise NetworkFailure(
        f"it does not say within {ADMIT_WITHIN_S:g} s whether the pod may come", rule="timeout"
    )


class _Report:
    """What is said and remembered of those that were tried."""

    def __init__(self, journal: Journal, step: Step) -> None:
        self._journal = journal
        self._tried: list[dict[str, object]] = []
        step.facts["tried"] = self._tried
        self._remembered = known_failures(state_dir())
        self._now = UnixSeconds(int(time.time()))
        self.failures: list[TrustedPodsError] = []

    @property
    def count(self) -> int:
        """How many failed."""
        return len(self.failures)

    def in_order(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Best first, with those that did not answer lately behind the others."""
        return sorted(candidates, key=self._failed_lately)

    def _failed_lately(self, candidate: Candidate) -> bool:
        row = candidate.offer.row
        known = self._remembered.get(provider_name(row))
        return known is not None and known.counts(row.endpoint, self._now)

    def took(self, probe: _Probe) -> None:
        """It takes the pod."""
        self._remembered.pop(probe.name, None)

    def failed(self, probe: _Probe, error: TrustedPodsError) -> None:
        """It does not; a refusal is no failure, as it may be the pod's."""
        self.failures.append(error)
        self._tried.append({"provider": probe.name, "error": error_facts(error)})
        if self.count <= MAX_WARNINGS:
            self._journal.show.warning(f"not {probe.name}: {error}")
        elif self.count == MAX_WARNINGS + 1:
            self._journal.show.warning("and more; `-o json` has them all")
        error.where = error.where or probe.name
        if isinstance(error, NetworkFailure):
            self._remember(probe)

    def silent(self, probes: Sequence[_Probe]) -> None:
        """Another was chosen before anything was heard of these."""
        for probe in probes:
            if probe.silent:
                self._remember(probe)

    def _remember(self, probe: _Probe) -> None:
        endpoint = probe.candidate.offer.row.endpoint
        self._remembered[probe.name] = failed(self._remembered.get(probe.name), endpoint, self._now)

    def keep(self) -> None:
        """For the next run."""
        keep_failures(state_dir(), self._remembered)


def provider_name(row: RegistryRow) -> str:
    """How a provider is named everywhere: OWNER/N, as `--provider` takes it."""
    return f"{row.owner}/{row.daemon}"


def _most_telling(failures: Sequence[TrustedPodsError]) -> TrustedPodsError:
    if not failures:
        return Refused("no provider comes into question", rule="no-provider")
    return next((error for error in failures if isinstance(error, EvidenceRefused)), failures[-1])
