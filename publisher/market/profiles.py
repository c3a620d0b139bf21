# SPDX-License-Identifier: Apache-2.0
"""What providers say of themselves: each dialled, its evidence verified, and nothing sent but a nonce."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import trio

from trustedpods.contracts.registry_rows import RegistryRow
from trustedpods.protocol.capability_gaps import gaps
from trustedpods.protocol.errors import NetworkFailure, Refused, TrustedPodsError
from trustedpods.protocol.messages.admission import AdmitBody
from trustedpods.protocol.messages.capabilities import Capabilities
from trustedpods.protocol.net import open_host
from trustedpods.publisher.market.session import attest_row
from trustedpods.publisher.parallel import open_nursery

if TYPE_CHECKING:
    from trustedpods.protocol.attestation.policy.policy import Policy
    from trustedpods.protocol.net import Host
    from trustedpods.publisher.market.session import Proven

PROBES = 8
"""Providers dialled at once, of the few that may be chosen."""

LISTED_AT_ONCE = 24
"""Providers dialled at once where all of a market are: most rows of a registry may be dead, and those only
wait."""

PROVE_WITHIN_S = 12.0
"""Of one among several: honest ones take half a second."""


async def capabilities_of(
    rows: Sequence[RegistryRow], policy: "Policy"
) -> list[Capabilities | TrustedPodsError]:
    """What the provider of each row offers, in the order of *rows*, or why it is not known."""
    found: dict[int, Capabilities | TrustedPodsError] = {}
    limit = trio.CapacityLimiter(PROBES)

    async def ask(host: "Host", number: int) -> None:
        async with limit:
            found[number] = await _offered(host, rows[number], policy)

    async with open_host(None, []) as host, open_nursery() as nursery:
        for number in range(len(rows)):
            nursery.start_soon(ask, host, number)
    return [found[number] for number in range(len(rows))]


async def _offered(host: "Host", row: RegistryRow, policy: "Policy") -> Capabilities | TrustedPodsError:
    proven = await proof_of(host, row, policy)
    return proven if isinstance(proven, TrustedPodsError) else proven.profile.capabilities


async def proof_of(
    host: "Host", row: RegistryRow, policy: "Policy", within_s: float = PROVE_WITHIN_S
) -> "Proven | TrustedPodsError":
    """What one among several proves within *within_s*, or why it does not."""
    try:
        with trio.fail_after(within_s):
            async with attest_row(host, row, policy) as proven:
                return proven
    except trio.TooSlowError:
        return NetworkFailure(f"it does not prove itself within {within_s:g} s", rule="timeout")
    except TrustedPodsError as error:
        return error


def check_offered(ask: AdmitBody, offered: Capabilities) -> None:
    """Refused (rule `capability`), with all that is lacking, unless the pod of *ask* can run there."""
    if lacking := gaps(ask, offered):
        raise Refused(
            "; ".join(lacking),
            rule="capability",
            hint="`trustedpods provider list --for FILE` says of each provider what it lacks",
        )


def why_not(ask: AdmitBody, offered: Capabilities | TrustedPodsError) -> str | None:
    """Why a pod cannot run there, for people; None where it can."""
    if isinstance(offered, TrustedPodsError):
        return f"what it offers is not known: {offered}"
    return "; ".join(gaps(ask, offered)) or None
