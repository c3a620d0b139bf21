# SPDX-License-Identifier: Apache-2.0
"""What the provider advertises and why, against what the cluster has at this moment."""

import hashlib

from trustedpods.protocol.codec import decode
from trustedpods.protocol.errors import TrustedPodsError
from trustedpods.protocol.messages.provider import Profile
from trustedpods.provider.admin.reports.views import Offers, OfferView
from trustedpods.provider.core.placement.explained import explained
from trustedpods.provider.doors import Doors


async def read_offers(doors: Doors, profile: bytes) -> Offers:
    """Each capability of *profile*, of the settings and of the cluster. Raises when the cluster is silent."""
    found = await doors.cluster.features()
    rows = explained(decode(profile, Profile).capabilities, found, doors.config.allowed)
    current, told = await _row(doors, profile)
    return Offers(
        offers=[OfferView(kind=one.kind, name=one.name, state=one.state, why=one.why) for one in rows],
        row_current=current,
        row=told,
    )


async def _row(doors: Doors, profile: bytes) -> tuple[bool | None, str]:
    try:
        row = await doors.chain.provider(doors.owner, doors.config.identity.daemon)
    except TrustedPodsError as error:
        return None, f"the registry could not be read: {error.what}"
    if row is None:
        return False, "the registry has no row of this provider: `register` writes it"
    if row.profile_digest != hashlib.sha256(profile).digest():
        return False, "the registry's row names another profile; the daemon mends it within the hour"
    return True, "the registry's row names this profile"
