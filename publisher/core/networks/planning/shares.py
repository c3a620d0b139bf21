# SPDX-License-Identifier: Apache-2.0
"""One amount split over nodes. Pure."""

from collections.abc import Mapping

from trustedpods.protocol.units import TokenUnits


def shares(amount: int, weights: Mapping[str, int]) -> dict[str, TokenUnits]:
    """*amount* base units, split as the *weights* are (evenly where all are 0), to the last unit.

    What rounding down leaves goes to the first nodes, one unit each: there are fewer units than nodes.
    """
    if not weights:
        return {}
    whole = sum(weights.values())
    if whole == 0:
        return shares(amount, dict.fromkeys(weights, 1))
    parts = {name: amount * weight // whole for name, weight in weights.items()}
    left = amount - sum(parts.values())
    return {name: TokenUnits(part + (number < left)) for number, (name, part) in enumerate(parts.items())}
