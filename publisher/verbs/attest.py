# SPDX-License-Identifier: Apache-2.0
"""`attest PROVIDER`: ask a provider what it proves, and judge it."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from trustedpods.contracts.registry_rows import RegistryRow
from trustedpods.protocol.attestation.saved import SavedEvidence
from trustedpods.protocol.codec import decode
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.messages.provider import Profile
from trustedpods.protocol.net import open_host
from trustedpods.publisher.attestation.evidence import (
    Wanted,
    judge,
    simulated_market,
    write_saved,
)
from trustedpods.publisher.core.select import Choice
from trustedpods.publisher.core.trust import check_chip_against_row, check_profile_against_row
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.candidates import provider_name
from trustedpods.publisher.market.market import OpenMarket
from trustedpods.publisher.market.session import ask_evidence
from trustedpods.publisher.market.timing import Timing
from trustedpods.publisher.results.attested import AttestProgress, AttestResult

if TYPE_CHECKING:
    from trustedpods.protocol.net import Host


async def attest_provider(
    market: OpenMarket, choice: Choice, wanted: Wanted, progress: AttestProgress, journal: Journal
) -> AttestResult:
    """Dial the one provider that *choice* means and judge its evidence.

    Raises EvidenceRefused with the failed check as `rule`.
    """
    row = one_row(await market.rows(), choice)
    progress.provider, progress.listed = provider_name(row), row.trust
    async with open_host(None, []) as host:
        saved = await _collect(host, row)
    if wanted.save is not None:
        write_saved(wanted.save, saved)
        progress.saved = wanted.save
    own = market.policy(row.trust) if wanted.policy is None and not wanted.print_policy else None
    simulated = simulated_market(market.file)
    verdict = judge(saved, wanted, own, simulated, datetime.now(UTC), progress, journal)
    profile = decode(saved.attested.profile, Profile)
    check_profile_against_row(saved.attested, profile, verdict.simulated, row)
    check_chip_against_row(verdict.chip_id, row)
    return progress.result()


def one_row(rows: list[RegistryRow], choice: Choice) -> RegistryRow:
    """The only row that *choice* means; Refused (rule `unknown-provider`) where it is none or several."""
    matching = [row for row in rows if choice.matches(row)]
    if len(matching) != 1:
        names = ", ".join(map(provider_name, matching[:8])) or "`trustedpods provider list` shows them"
        raise Refused(
            f"{len(matching)} providers in the registry are {choice}", rule="unknown-provider", hint=names
        )
    return matching[0]


async def _collect(host: "Host", row: RegistryRow) -> SavedEvidence:
    timing = Timing()
    async with host.dial(row.endpoint, timing.dial_s) as connection:
        nonce, attested = await ask_evidence(connection, timing)
        peer = connection.remote_peer_id
    return SavedEvidence(provider_name(row), datetime.now(UTC), nonce, peer, attested)
