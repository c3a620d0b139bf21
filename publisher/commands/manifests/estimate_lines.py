# SPDX-License-Identifier: Apache-2.0
"""What a manifest costs, as text."""

from trustedpods.publisher.core.money import Token
from trustedpods.publisher.output.terminal import table
from trustedpods.publisher.results.estimated import EstimatedOffer, EstimateResult


def estimate_lines(result: EstimateResult) -> list[str]:
    """What the pod costs at each provider, cheapest first; below it who was left out, and why."""
    header = ("PROVIDER", "CLASS", "REGION", "ASLEEP/H", "AWAKE/H", "FULL/H", "FULL/DAY", "DEPOSIT")
    rows = [_estimate_row(offer, result.token) for offer in result.offers]
    size = (
        f"pod {result.pod}: {result.min_replicas} to {result.max_replicas} replicas, "
        f"images {result.image_bytes / 1e6:.1f} MB packed and unpacked"
    )
    left_out = [f"{out.provider.name}: left out: {out.reason}" for out in result.left_out]
    units = f"(in {result.token.symbol}, without traffic)"
    return [size, *table(header, rows), units, *_warm_lines(result), *_retained_lines(result), *left_out]


def _warm_lines(result: EstimateResult) -> list[str]:
    """What an hour of warm sleep costs at most, at each provider; nothing for a pod that sleeps cold."""
    prices = [
        f"{result.token.short(offer.warm_hour)} at {offer.provider.name}"
        for offer in result.offers
        if offer.warm_hour is not None
    ]
    if not prices:
        return []
    return [f"an hour asleep but warm costs at most {', '.join(prices)}: no CPU, the memory that it holds"]


def _retained_lines(result: EstimateResult) -> list[str]:
    """What goes on being billed after a delete, at each provider; nothing where no volume outlives it."""
    if not result.outliving_mib:
        return []
    prices = ", ".join(
        f"{result.token.short(offer.retained_hour)} at {offer.provider.name}" for offer in result.offers
    )
    return [
        f"a delete leaves {result.outliving_mib} MiB of volumes, an hour of which costs {prices}; "
        "`delete --purge` ends them too"
    ]


def _estimate_row(offer: EstimatedOffer, token: Token) -> tuple[str, ...]:
    cost = offer.cost
    prices = (cost.asleep_hour, cost.awake_hour, cost.peak_hour, cost.peak_day)
    return (
        offer.provider.name,
        "OPEN" if offer.trust == "open" else offer.trust,
        offer.provider.region,
        *map(token.short, prices),
        token.short(offer.deposit, at_least=True),
    )
