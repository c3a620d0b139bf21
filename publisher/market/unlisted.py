# SPDX-License-Identifier: Apache-2.0
"""Channels found without the registry: by what is kept here, by key and salt, and by the chain's events.

A provider can take its row away at any time; what its publishers paid in must not be lost with it.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

from trustedpods.contracts.records import OpenedChannel
from trustedpods.protocol.errors import BadInput, NetworkFailure
from trustedpods.protocol.ids import Address, ChannelId, PodRef, channel_hex
from trustedpods.publisher.context import state_dir
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.market.session import Publisher
from trustedpods.publisher.state.names import known_names
from trustedpods.publisher.state.pod_records import FOLDER, PodRecord, PodRecords

DAEMONS = 64
"""Numbers of an owner's daemons that are tried for a pod whose provider is not listed: owners count
from 1, and a hash each costs nothing."""

_CHANNEL = re.compile(r"[0-9a-f]{48}")


@dataclass(frozen=True, slots=True)
class Known:
    """A channel of this key, and the daemon where its pod is; None where only the chain knows of it."""

    ref: PodRef
    daemon: int | None


def is_channel(name: str) -> bool:
    """Whether a pod was named by its channel's id, as it is printed everywhere: 48 hex digits."""
    return _CHANNEL.fullmatch(name) is not None


def kept(account: MarketAccount, name: str) -> list[Known]:
    """Channels of the pod *name*, or the one with that id, of which this client keeps a record."""
    records, found = PodRecords(state_dir() / FOLDER), []
    for channel in records.channels():
        try:
            record = records.load(channel)
        except BadInput:
            continue  # `watch` says which record is damaged
        if record is not None and name in (record.name, record.channel) and _is_of(account, record):
            ref = account.publisher.ref(Address(record.owner), record.daemon, record.name)
            if channel_hex(ref.channel) == record.channel:
                found.append(Known(ref, record.daemon))
    return found


async def told(account: MarketAccount, name: str, listed: Collection[ChannelId]) -> list[Known]:
    """The same by the `Opened` events of the publisher, without those that are *listed* already."""
    opened = await account.chain.opened_by(account.publisher.address)
    names = known_names(state_dir())
    found = []
    for one in opened:
        if one.channel in listed or (is_channel(name) and channel_hex(one.channel) != name):
            continue
        known = _by_id(account, one, names) if is_channel(name) else _by_name(account.publisher, one, name)
        if known is None and is_channel(name):
            known = await _by_transaction(account, one)
        if known is not None:
            found.append(known)
    return found


async def identified(account: MarketAccount, opened: OpenedChannel, name: str | None) -> Known | None:
    """The pod of a channel, by its *name* if that is right, else by the transaction that opened it."""
    known = None if name is None else _by_name(account.publisher, opened, name)
    return known or await _by_transaction(account, opened)


def _is_of(account: MarketAccount, record: PodRecord) -> bool:
    file = account.market.file
    mine = (file.chain_id, file.payments, account.publisher.address)
    return (record.chain_id, record.payments, record.publisher) == mine


def _by_name(publisher: Publisher, opened: OpenedChannel, name: str) -> Known | None:
    for daemon in range(DAEMONS):
        ref = publisher.ref(opened.owner, daemon, name)
        if ref.channel == opened.channel:
            return Known(ref, daemon)
    return None


def _by_id(account: MarketAccount, opened: OpenedChannel, names: dict[str, str]) -> Known | None:
    name = names.get(channel_hex(opened.channel))
    return None if name is None else _by_name(account.publisher, opened, name)


async def _by_transaction(account: MarketAccount, opened: OpenedChannel) -> Known | None:
    """The salt stands in the transaction that opened the channel; a node may have forgotten it."""
    try:
        salt = await account.chain.salt_of(account.publisher.address, opened)
    except NetworkFailure:
        return None
    return None if salt is None else Known(PodRef(opened.owner, account.publisher.address, salt), None)
