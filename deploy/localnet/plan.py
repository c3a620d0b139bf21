# SPDX-License-Identifier: Apache-2.0
"""Everything that a localnet runs, as units."""

from trustedpods.localnet.cluster import cluster
from trustedpods.localnet.emulated import units as emulated
from trustedpods.localnet.market import chain, provider
from trustedpods.localnet.processes.units import Unit
from trustedpods.localnet.settings import Settings


def units(settings: Settings) -> list[Unit]:
    """All units of the localnet, each with what it needs."""
    found: list[Unit] = [*chain.units(settings)]
    for one in settings.all_clusters():
        if one.embedded:
            found += cluster.units(settings, one)
        if settings.guest is not None:
            found += emulated.units(settings, one)
        elif settings.knobs.provider:
            found += provider.units(settings, one)
    return found
