# SPDX-License-Identifier: Apache-2.0
"""What is said of providers that were tried, and what is remembered of them for the next time."""

import time
from collections.abc import Sequence

from trustedpods.protocol.errors import NetworkFailure, TrustedPodsError
from trustedpods.protocol.units import UnixSeconds
from trustedpods.publisher.context import state_dir
from trustedpods.publisher.core.dialling import failed
from trustedpods.publisher.journal import Fact, Journal, Step
from trustedpods.publisher.market.dial_failures import keep_failures, known_failures
from trustedpods.publisher.market.probe import Candidate, ProviderProbe, provider_name
from trustedpods.publisher.output.json_error import error_json
from trustedpods.publisher.results.errors import ErrorReport

MAX_WARNINGS = 8
"""Providers of which it is said why not; the rest is for programs."""


class Attempts:
    """What is said and remembered of those that were tried."""

    def __init__(self, journal: Journal, step: Step) -> None:
        self._journal = journal
        self._tried: list[Fact] = []
        step.facts["tried"] = self._tried
        self._remembered = known_failures(state_dir())
        self._now = UnixSeconds(int(time.time()))
        self.failures: list[TrustedPodsError] = []
        self._failed: set[str] = set()

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

    def took(self, probe: ProviderProbe) -> None:
        """It takes the pod."""
        self._remembered.pop(probe.name, None)

    def failed(self, probe: ProviderProbe, error: TrustedPodsError) -> None:
        """It does not; a refusal is no failure, as it may be the pod's."""
        self.failures.append(error)
        self._failed.add(probe.name)
        self._tried.append({"provider": probe.name, "error": error_json(ErrorReport.of(error))})
        if self.count <= MAX_WARNINGS:
            self._journal.show.warning(f"not {probe.name}: {error}")
        elif self.count == MAX_WARNINGS + 1:
            self._journal.show.warning("and more; `-o json` has them all")
        error.where = error.where or probe.name
        if isinstance(error, NetworkFailure):
            self._remember(probe)

    def after(self, probes: Sequence[ProviderProbe]) -> None:
        """Another was chosen before anything was known of these, and now it is."""
        for probe in probes:
            if probe.name not in self._failed and (probe.silent or isinstance(probe.outcome, NetworkFailure)):
                self._remember(probe)

    def _remember(self, probe: ProviderProbe) -> None:
        endpoint = probe.candidate.offer.row.endpoint
        self._remembered[probe.name] = failed(self._remembered.get(probe.name), endpoint, self._now)

    def keep(self) -> None:
        """For the next run."""
        keep_failures(state_dir(), self._remembered)
