# SPDX-License-Identifier: Apache-2.0
"""Where a pod is: found on chain from the key and the name alone, no local record needed."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import trio

from trustedpods.contracts.records import Channel
from trustedpods.contracts.rows import RegistryRow
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.ids import Address, PodRef
from trustedpods.publisher.app.desk import Desk
from trustedpods.publisher.parallel import open_nursery

QUERIES = 8
"""Owners asked about at once."""


@dataclass(frozen=True, slots=True)
class Place:
    """A provider where a pod of this name would be, and its channel there if one is open."""

    row: RegistryRow
    ref: PodRef
    channel: Channel | None

    @property
    def live(self) -> Channel:
        """The channel of a place that has one."""
        assert self.channel is not None
        return self.channel


async def places(desk: Desk, name: str, rows: Sequence[RegistryRow]) -> list[Place]:
    """Every row with the channel that the pod *name* has there; one query for each owner."""
    by_owner: dict[Address, list[RegistryRow]] = defaultdict(list)
    for row in rows:
        by_owner[row.owner].append(row)
    found: list[Place] = []
    limit = trio.CapacityLimiter(QUERIES)

    async def query(owner: Address, daemons: list[RegistryRow]) -> None:
        refs = [desk.publisher.ref(owner, row.daemon, name) for row in daemons]
        async with limit:
            channels = await desk.chain.channels(owner, [ref.channel for ref in refs])
        found.extend(map(Place, daemons, refs, channels))

    async with open_nursery() as nursery:
        for owner, daemons in by_owner.items():
            nursery.start_soon(query, owner, daemons)
    return found


def by_liveness(found: Sequence[Place]) -> list[Place]:
    """Places with an open channel; those without a running notice first, then the fullest."""
    open_places = [place for place in found if place.channel is not None]
    return sorted(open_places, key=lambda place: (place.live.unlock_at != 0, -place.live.left))


async def find_pod(desk: Desk, name: str) -> tuple[Place, list[Place]]:
    """Where the pod is, and other places that still hold money under its name.

    Raises `Refused` (rule "unknown-pod") when no provider in the registry has a channel of it.
    """
    rows = await desk.window.rows()
    ranked = by_liveness(await places(desk, name, rows))
    if not ranked:
        raise Refused(
            f"no pod {name!r} of {desk.publisher.address} at any of {len(rows)} providers",
            rule="unknown-pod",
            hint="`trustedpods balance` lists channels; names are those of the manifests",
        )
    return ranked[0], ranked[1:]
