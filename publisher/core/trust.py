# SPDX-License-Identifier: Apache-2.0
"""Is the machine that was attested the provider that the registry lists?"""

import hashlib

from trustedpods.contracts.registry_rows import RegistryRow
from trustedpods.protocol.errors import EvidenceRefused, Refused
from trustedpods.protocol.evidence import Attested
from trustedpods.protocol.ids import Address, address_bytes
from trustedpods.protocol.messages.provider import DocumentsProfile, Figures, Profile, TrustClass

OWNER_RULE = "profile-owner"
CLASS_RULE = "profile-class"
DIGEST_RULE = "profile-digest"
CHIP_RULE = "chip-digest"


def check_profile_against_row(
    attested: Attested, profile: Profile, simulated: bool, row: RegistryRow
) -> None:
    """Compare what was attested and what the profile says with the registry row.

    *simulated* is what the evidence showed. Raises `EvidenceRefused` when the profile is not this
    provider's or not what the evidence shows, `Refused` when row and profile name other terms.
    """
    if profile.owner != address_bytes(row.owner) or profile.daemon != row.daemon:
        raise EvidenceRefused("its profile is that of another provider", rule=OWNER_RULE)
    if not attested.binding.trust == profile.trust == row.trust:
        raise EvidenceRefused(
            f"attested as {attested.binding.trust}, and listed as {row.trust}", rule=CLASS_RULE
        )
    if profile.simulated != simulated:
        raise EvidenceRefused("profile and evidence differ in whether it is simulated", rule=CLASS_RULE)
    if hashlib.sha256(attested.profile).digest() != row.profile_digest:
        raise EvidenceRefused("its profile is not the one in the registry", rule=DIGEST_RULE)
    listed = (address_bytes(row.token), row.prices, row.least)
    if (profile.token, profile.prices, profile.least) != listed:
        raise Refused("its registry row and its profile name different terms", rule="terms")


def check_figures_against_row(figures: Figures, row: RegistryRow) -> None:
    """Figures that one machine signed are of the provider that was asked, and of the terms that it lists.

    Raises `EvidenceRefused` when they are another provider's, or said beside another profile than the row's.
    """
    if figures.owner != address_bytes(row.owner) or figures.daemon != row.daemon:
        raise EvidenceRefused("its figures are of another provider", rule=OWNER_RULE)
    if figures.profile_digest != row.profile_digest:
        raise EvidenceRefused("its figures are of another profile than the registry's", rule=DIGEST_RULE)


def check_unlisted_profile(
    attested: Attested, profile: Profile | DocumentsProfile, simulated: bool, owner: Address, daemon: int
) -> None:
    """The same for a daemon that is known by its peer id and not by a row: nothing of it is priced.

    Raises `EvidenceRefused` when the profile is another daemon's, or not what the evidence shows.
    """
    if profile.owner != address_bytes(owner) or profile.daemon != daemon:
        raise EvidenceRefused("its profile is that of another daemon", rule=OWNER_RULE)
    if attested.binding.trust != profile.trust or profile.simulated != simulated:
        raise EvidenceRefused("profile and evidence differ in its class", rule=CLASS_RULE)


def check_chip_against_row(chip_id: bytes, row: RegistryRow) -> None:
    """The attested machine is the one whose digest (SHA-256 of its id) the row has, if it has one.

    *chip_id* is the verdict's. Raises `EvidenceRefused`.
    """
    if any(row.chip_digest) and hashlib.sha256(chip_id).digest() != row.chip_digest:
        raise EvidenceRefused("another machine than the one in the registry", rule=CHIP_RULE)


def at_least(wanted: TrustClass, seen: TrustClass | None) -> TrustClass:
    """The class that must hold: a class is a minimum, and what was once proved is not sunk below.

    *wanted* is the manifest's, *seen* what the pod's provider proved when it was sent there; None: nothing.
    """
    return "sealed" if "sealed" in (wanted, seen) else "open"


def trust_text(trust: TrustClass, *, simulated: bool) -> str:
    """How a class is always shown: SIMULATED and OPEN cannot be overlooked."""
    if trust == "open":
        return "OPEN (its operator can read the pod)"
    return "sealed, SIMULATED" if simulated else "sealed"
