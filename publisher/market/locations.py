# SPDX-License-Identifier: Apache-2.0
"""Where a pod is: found on chain from the key and the name alone, no local record needed.

Rows of the registry tell how a provider is reached, and nothing else: a channel whose provider has no
row is found too (`unlisted`), and all that needs no provider can be done with it.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

import trio

from trustedpods.contracts.records import NEVER, Channel, OpenedChannel
from trustedpods.contracts.registry_rows import RegistryRow
from trustedpods.contracts.terms import Terms
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.ids import Address, PodRef, channel_hex
from trustedpods.protocol.messages.provider import LeastTerms, Prices
from trustedpods.publisher.context import state_dir
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.market.unlisted import Known, is_channel, kept, told
from trustedpods.publisher.parallel import open_nursery
from trustedpods.publisher.results.channels import PodChannel
from trustedpods.publisher.results.providers import ProviderId
from trustedpods.publisher.state.names import known_names

_DIGEST_BYTES = 32
_NO_PRICES = Prices(cpu_core_ms=0, memory_mib_s=0, storage_mib_s=0, egress_kib=0, ingress_kib=0, scale=0)

QUERIES = 8
"""Owners asked about at once."""


@dataclass(frozen=True, slots=True)
class PodLocation:
    """A provider where a pod of this name would be, and its channel there if one is open.

    `opened` tells of a channel that has ended, where it was looked for. Not `listed`: the registry has
    no row of this provider, and `row` holds its owner, its daemon and no endpoint.
    """

    row: RegistryRow
    ref: PodRef
    channel: Channel | None
    opened: OpenedChannel | None = None
    listed: bool = True

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


async def unlisted_open(
    account: MarketAccount, name: str, rows: Sequence[RegistryRow], listed: Sequence[PodLocation]
) -> list[PodLocation]:
    """Places of the pod that are kept here and not *listed*, where its channel is open without a notice."""
    seen = {location.ref.channel for location in listed}
    others = [one for one in kept(account, name) if one.ref.channel not in seen]
    return [one for one in by_liveness(await _at(account, rows, others)) if not one.live.unlock_at]


def by_liveness(found: Sequence[PodLocation]) -> list[PodLocation]:
    """Places with an open channel; those without a running notice first, then the fullest."""
    live = [location for location in found if location.channel is not None]
    return sorted(live, key=lambda location: (location.live.unlock_at != 0, -location.live.left))


async def find_pod(
    account: MarketAccount, name: str, *, ended: bool = False, everywhere: bool = False
) -> tuple[PodLocation, list[PodLocation]]:
    """Where the pod is, and other places that still hold money under its name.

    *name* may be a channel's id too. With *ended* the latest place whose channel has ended will do when
    none is open; with *everywhere* the chain's events are asked for channels of providers that have no
    row even where one is found, as there may be more.
    Raises `Refused` (rule "unknown-pod") when neither the registry's rows, nor what is kept here, nor
    the chain's events lead to a channel of it.
    """
    rows = await account.market.rows()
    found = [] if is_channel(name) else await pod_locations(account, name, rows)
    listed = {location.ref.channel for location in found}
    found += await _at(account, rows, [one for one in kept(account, name) if one.ref.channel not in listed])
    ranked = by_liveness(found)
    if everywhere or not ranked:
        listed = {location.ref.channel for location in found}
        found += await _at(account, rows, await told(account, name, listed))
        ranked = by_liveness(found)
    if not ranked and ended:
        ranked = await _ended(account, found)
    if not ranked:
        raise Refused(
            f"no pod {name!r} of {account.publisher.address} at any of {len(rows)} providers, "
            "nor in its records here, nor in the chain's events",
            rule="unknown-pod",
            hint=_meant(name)
            + "`trustedpods balance` lists channels: their ids do as names, which are those of manifests",
        )
    return ranked[0], ranked[1:]


def _meant(name: str) -> str:
    """The nearest name that a pod was ever given here."""
    near = get_close_matches(name, sorted(set(known_names(state_dir()).values())), 1)
    return f"did you mean {near[0]!r}? " if near and near[0] != name else ""


async def _at(
    account: MarketAccount, rows: Sequence[RegistryRow], found: Sequence[Known]
) -> list[PodLocation]:
    """Places of channels that were found otherwise, with their providers' rows where there are any."""
    by_daemon = {(row.owner, row.daemon): row for row in rows}
    made = []
    for one in found:
        (channel,) = await account.chain.channels(one.ref.owner, [one.ref.channel])
        row = None if one.daemon is None else by_daemon.get((one.ref.owner, one.daemon))
        listed = row is not None
        made.append(PodLocation(row or _no_row(account, one), one.ref, channel, listed=listed))
    return made


def _no_row(account: MarketAccount, known: Known) -> RegistryRow:
    """What stands for the row of a provider that has none: nobody can be reached by it."""
    return RegistryRow(
        owner=known.ref.owner,
        daemon=known.daemon or 0,
        updated_at=NEVER,
        trust="open",
        region="",
        tee=[],
        chip_digest=bytes(_DIGEST_BYTES),
        token=account.market.file.token,
        prices=_NO_PRICES,
        least=LeastTerms(deposit=0, unlock_s=0, idle_mib=0),
        profile_digest=bytes(_DIGEST_BYTES),
    )


def require_listed(location: PodLocation) -> None:
    """Refused where the pod's provider has no row: nobody tells where it is."""
    if not location.listed:
        raise Refused(
            f"the provider {location.row.owner} is no longer in the registry: it cannot be reached",
            rule="no-provider",
            hint=f"`trustedpods close {channel_hex(location.ref.channel)}` takes the deposit back without it",
        )


async def _ended(account: MarketAccount, found: Sequence[PodLocation]) -> list[PodLocation]:
    """The place with the channel that was opened last; nothing where nobody remembers one."""
    by_channel = {location.ref.channel: location for location in found}
    for opened in reversed(await account.chain.opened_by(account.publisher.address)):
        if opened.channel in by_channel:
            return [replace(by_channel[opened.channel], opened=opened)]
    return []
