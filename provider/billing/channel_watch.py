# SPDX-License-Identifier: Apache-2.0
"""What a look at a pod's channel tells, by these books: still what was agreed, or another."""

from trustedpods.contracts.records import Channel
from trustedpods.contracts.terms import Terms
from trustedpods.provider.core.agreement import Agreement, departure
from trustedpods.provider.core.pod import PodRecord
from trustedpods.provider.store import Store, claims


async def departure_of(store: Store, record: PodRecord, channel: Channel) -> str | None:
    """How the channel differs from what was agreed for the pod; None where it does not, or nothing was."""
    if record.terms is None or record.chain is None:
        return None
    agreed = Agreement(Terms.unpack(record.terms), record.meter, record.chain.up_to)
    moved = channel.up_to != agreed.up_to
    claimed = await store.read(claims.stations, record.channel) if moved else frozenset()
    return departure(agreed, channel, claimed)
