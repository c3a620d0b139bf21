# SPDX-License-Identifier: Apache-2.0
"""One provider, dialled and attested beside others."""

from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

from trustedpods.contracts.registry_rows import RegistryRow
from trustedpods.protocol.errors import NetworkFailure, TrustedPodsError
from trustedpods.publisher.core.select import Offer
from trustedpods.publisher.market.locations import PodLocation
from trustedpods.publisher.market.session import Publisher, Session, open_session
from trustedpods.publisher.results.providers import ProviderId

if TYPE_CHECKING:
    from trustedpods.protocol.attestation.policy.policy import Policy
    from trustedpods.protocol.net import Host

HONEST_S = 2.0
"""In that time an honest provider proves itself, wherever it is."""


def provider_name(row: RegistryRow) -> str:
    """How a provider is named everywhere: OWNER/N, as `--provider` takes it."""
    return ProviderId.of(row).name


@dataclass(frozen=True, slots=True)
class Candidate:
    """A provider to try, with the channel that the pod has there, if any."""

    offer: Offer
    location: PodLocation


class ProviderProbe:
    """One candidate being dialled and attested, in a task that holds its connection until it is let go."""

    def __init__(self, candidate: Candidate) -> None:
        self.candidate = candidate
        self.name = provider_name(candidate.offer.row)
        self.outcome: Session | TrustedPodsError | None = None
        self.known = trio.Event()
        self.known_at = 0.0
        self.dialled_at = float("inf")
        self.let_go = trio.Event()
        self._stopped = trio.CancelScope()

    async def run(self, host: "Host", publisher: Publisher, policy: "Policy", within_s: float) -> None:
        """Never raises ours; nothing but a nonce is sent to a provider that is only looked at."""
        self.dialled_at = trio.current_time()
        try:
            with self._stopped:
                await self._hold(host, publisher, policy, within_s)
        except TrustedPodsError as error:
            self._tell(error)  # after it was told, the conversation itself has said what broke

    async def _hold(self, host: "Host", publisher: Publisher, policy: "Policy", within_s: float) -> None:
        async with AsyncExitStack() as stack:
            opening = open_session(host, publisher, self.candidate.offer.row, policy)
            try:
                with trio.fail_after(within_s):
                    session = await stack.enter_async_context(opening)
            except trio.TooSlowError:
                raise NetworkFailure(
                    f"it does not prove itself within {within_s:g} s", rule="timeout"
                ) from None
            self._tell(session)
            await self.let_go.wait()

    def stop(self) -> None:
        """It is not asked any further, whatever it was about to say."""
        self._stopped.cancel()

    @property
    def silent(self) -> bool:
        """Whether nothing was heard of it for longer than an honest one needs."""
        if self.known.is_set() or self._stopped.cancel_called:
            return False
        return trio.current_time() >= self.dialled_at + HONEST_S

    def _tell(self, outcome: Session | TrustedPodsError) -> None:
        if self.outcome is None:
            self.outcome, self.known_at = outcome, trio.current_time()
            self.known.set()
