# SPDX-License-Identifier: Apache-2.0
"""What a pod has, owes and burns at one moment, from its record and its part of the ledger. Pure."""

from dataclasses import dataclass

from trustedpods.contracts.terms import Terms, due
from trustedpods.protocol.units import TokenUnits, UnixSeconds, Usage
from trustedpods.provider.core import funds, metering
from trustedpods.provider.core.pod import ChannelFact, PodRecord


@dataclass
class PodMoney:
    """What was known of a pod's money at one time, and when to look again."""

    runway_s: int | None
    next_look: UnixSeconds
    replicas: int
    left: int
    revivable: bool
    accrued: int
    at: UnixSeconds


def money_of(
    record: PodRecord, fact: ChannelFact, replicas: int, book: metering.Ledger, now: UnixSeconds, grace_s: int
) -> PodMoney:
    """The pod's money at *now*; *book* is its ledger since the chain's `upTo`."""
    prices = Terms.unpack(record.terms or 0).prices
    accrued = due(metering.usage(book, fact.up_to, max(now, fact.up_to)), prices)
    rate = metering.rate(book, now)
    kept, least = metering.held(book, now), max(1, record.scaling.min_replicas)
    held = funds.Funds(left=fact.left, accrued=accrued, reserve=funds.reserve(kept, grace_s, prices))
    runway = funds.runway(held, rate, prices)
    awake = Usage(
        cpu_core_ms=record.size.cpu_milli * least,
        memory_mib_s=record.size.memory_mib * least,
        storage_mib_s=kept + record.size.scratch_mib * least,
    )
    return PodMoney(
        runway_s=runway,
        next_look=funds.next_check(runway, now),
        replicas=replicas,
        left=TokenUnits(fact.left),
        revivable=funds.may_revive(held, awake, prices),
        accrued=accrued,
        at=now,
    )
