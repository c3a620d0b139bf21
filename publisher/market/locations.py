# SPDX-License-Identifier: Apache-2.0
"""Where a pod is: found on chain from the key and the name alone, no local record needed."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import trio

from trustedpods.contracts.records import Channel, OpenedChannel
from trustedpods.contracts.registry_rows import RegistryRow
from trustedpods.contracts.terms import Terms
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.ids import Address, PodRef
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.parallel import open_nursery
from trustedpods.publisher.results.channels import PodChannel
from trustedpods.publisher.results.providers import ProviderId

QUERIES = 8
"""Owners asked about at once."""


@dataclass(frozen=True, slots=True)
class PodLocation:
    """A provider where a pod of this name would be, and its channel there if one is open.

    `opened` tells of a channel that has ended, where it was looked for.
    """

    row: RegistryRow
    ref: PodRef
    channel: Channel | None
    opened: OpenedChannel | None = None

    @property
    def terms(self) -> Terms:
        """Terms of the channel, open or ended."""
        if self.channel is not None:
            return self.channel.terms
        assert self.opened is not None
        return self.opened.terms

    @property
    def live(self) -> Channel:
        """The channel of a location that has one."""
        assert self.channel is not None
        return self.channel

    @property
    def pod_channel(self) -> PodChannel:
        """The same for results."""
        return PodChannel(ProviderId.of(self.row), self.ref.channel, self.channel)


async def pod_locations(account: MarketAccount, name: str, rows: Sequence[RegistryRow]) -> list[PodLocation]:
    """Every row with the channel that the pod *name* has there; one query for each owner."""
    by_owner: dict[Address, list[RegistryRow]] = defaultdict(list)
    for row in rows:
        by_owner[row.owner].append(row)
    found: list[PodLocation] = []
    limit = trio.CapacityLimiter(QUERIES)

    async def query(owner: Address, daemons: list[RegistryRow]) -> None:
        refs = [account.publisher.ref(owner, row.daemon, name) for row in daemons]
        async with limit:
            channels = await account.chain.channels(owner, [ref.channel for ref in refs])
        found.extend(map(PodLocation, daemons, refs, channels))

    async with open_nursery() as nursery:
        for owner, daemons in by_owner.items():
            nursery.start_soon(query, owner, daemons)
    return found


def by_liveness(found: Sequence[PodLocation]) -> list[PodLocation]:
    """Places with an open channel; those without a running notice first, then the fullest."""
    live = [location for location in found if location.channel is not None]
    return sorted(live, key=lambda location: (location.live.unlock_at != 0, -location.live.left))


async def find_pod(
    account: MarketAccount, name: str, *, ended: bool = False
) -> tuple[PodLocation, list[PodLocation]]:
    """Where the pod is, and other places that still hold money under its name.

    With *ended* the latest place whose channel has ended will do when none is open.
    Raises `Refused` (rule "unknown-pod") when no provider in the registry has a channel of it.
    """
    rows = await account.market.rows()
    found = await pod_locations(account, name, rows)
    ranked = by_liveness(found)
    if not ranked and ended:
        ranked = await _ended(account, found)
    if not ranked:
        raise Refused(
            f"no pod {name!r} of {account.publisher.address} at any of {len(rows)} providers",
            rule="unknown-pod",
            hint="`trustedpods balance` lists channels; names are those of the manifests",
        )
    return ranked[0], ranked[1:]


async def _ended(account: MarketAccount, found: Sequence[PodLocation]) -> list[PodLocation]:
    """The place with the channel that was opened last; nothing where nobody remembers one."""
    by_channel = {location.ref.channel: location for location in found}
    for opened in reversed(await account.chain.opened_by(account.publisher.address)):
        if opened.channel in by_channel:
            return [replace(by_channel[opened.channel], opened=opened)]
    return []
