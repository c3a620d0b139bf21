# SPDX-License-Identifier: Apache-2.0
"""Everything that a localnet runs, as units."""

import importlib.util

from trustedpods.localnet import chain, cluster, provider
from trustedpods.localnet.settings import Settings
from trustedpods.localnet.units import Unit


def units(settings: Settings) -> list[Unit]:
    """All units of the localnet, each with what it needs."""
    found: list[Unit] = [*chain.units(settings)]
    for one in settings.all_clusters():
        if one.embedded:
            found += cluster.units(settings, one)
        found += [
            unit
            for unit in provider.units(settings, one)
            if _provider_is_there() or not unit.name.endswith(("/provider", "/register"))
        ]
    return found


def _provider_is_there() -> bool:
    return importlib.util.find_spec("trustedpods.provider.cli") is not None
