# SPDX-License-Identifier: Apache-2.0
"""One provider, dialled and attested beside others."""

from contextlib import AsyncExitStack
from dataclasses import dataclass

import trio

from trustedpods.contracts.registry_rows import RegistryRow
from trustedpods.protocol.attestation.policy.policy import Policy
from trustedpods.protocol.errors import NetworkFailure, TrustedPodsError
from trustedpods.protocol.net import Host
from trustedpods.publisher.core.select import Offer
from trustedpods.publisher.market.locations import PodLocation
from trustedpods.publisher.market.session import Publisher, Session, open_session
from trustedpods.publisher.results.providers import ProviderId

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
        self.began: float | None = None
        self.let_go = trio.Event()

    async def run(self, host: Host, publisher: Publisher, policy: Policy, within_s: float) -> None:
        """Never raises ours; nothing but a nonce is sent to a provider that is only looked at."""
        self.began = trio.current_time()
        try:
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
        except TrustedPodsError as error:
            self._tell(error)  # after it was told, the conversation itself has said what broke

    @property
    def silent(self) -> bool:
        """Whether nothing was heard of it for longer than an honest one needs."""
        waited = 0.0 if self.began is None else trio.current_time() - self.began
        return not self.known.is_set() and waited >= HONEST_S

    def _tell(self, outcome: Session | TrustedPodsError) -> None:
        if self.outcome is None:
            self.outcome, self.known_at = outcome, trio.current_time()
            self.known.set()
