# SPDX-License-Identifier: Apache-2.0
"""The first provider that answers, proves what it is, and takes the pod."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from trustedpods.contracts.registry_rows import RegistryRow
from trustedpods.protocol.attestation.policy.policy import Policy
from trustedpods.protocol.errors import EvidenceRefused, Refused, TrustedPodsError
from trustedpods.protocol.messages.admission import AdmitBody, Admitted
from trustedpods.protocol.net import Host
from trustedpods.publisher.core.select import Offer
from trustedpods.publisher.journal import Fact, Journal, Step
from trustedpods.publisher.market.locations import PodLocation
from trustedpods.publisher.market.session import Publisher, Session, next_generation, open_session
from trustedpods.publisher.output.json_error import error_json
from trustedpods.publisher.results.errors import ErrorReport


@dataclass(frozen=True, slots=True)
class Candidate:
    """A provider to try, with the channel that the pod has there, if any."""

    offer: Offer
    location: PodLocation


@dataclass(frozen=True, slots=True)
class Reached:
    """The provider that takes the pod."""

    candidate: Candidate
    session: Session


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
    """Try *candidates* in order; those that fail are said, with the reason, and kept in *step*.

    Raises what the last of them said, or the first refused evidence, when none is left.
    """
    failures: list[TrustedPodsError] = []
    tried: list[Fact] = []
    step.facts["tried"] = tried
    for candidate in candidates:
        async with AsyncExitStack() as stack:
            try:
                session = await _reach(stack, host, publisher, candidate, policy, ask)
            except TrustedPodsError as error:
                failures.append(error)
                tried.append(
                    {
                        "provider": provider_name(candidate.offer.row),
                        "error": error_json(ErrorReport.of(error)),
                    }
                )
                journal.show.warning(f"not {provider_name(candidate.offer.row)}: {error}")
                error.where = error.where or provider_name(candidate.offer.row)
                continue
            yield Reached(candidate, session)
            return
    raise _most_telling(failures)


async def _reach(
    stack: AsyncExitStack,
    host: Host,
    publisher: Publisher,
    candidate: Candidate,
    policy: Policy,
    ask: AdmitBody,
) -> Session:
    """Dial, attest, and ask whether the pod may come; one that is there already need not ask."""
    session = await stack.enter_async_context(open_session(host, publisher, candidate.offer.row, policy))
    if candidate.location.channel is None:
        await session.ask("admit", candidate.location.ref, ask, next_generation(), Admitted)
    return session


def provider_name(row: RegistryRow) -> str:
    """How a provider is named everywhere: OWNER/N, as `--provider` takes it."""
    return f"{row.owner}/{row.daemon}"


def _most_telling(failures: Sequence[TrustedPodsError]) -> TrustedPodsError:
    if not failures:
        return Refused("no provider comes into question", rule="no-provider")
    return next((error for error in failures if isinstance(error, EvidenceRefused)), failures[-1])
