# SPDX-License-Identifier: Apache-2.0
"""Which pod has which slot, and the host map that sends requests there. Pure.

The host map is the only record of who has which slot: it lies on disk, so neither a restart of
the daemon nor one of HAProxy moves a pod. What HAProxy has is compared with what is wanted each
time; nothing is remembered about what it was told.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from trustedpods.protocol.errors import LocalProtocolError, Refused
from trustedpods.provider.core.traffic import PodAddress
from trustedpods.provider.facade.config import backend_name, slot_of

_HOST = re.compile(r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$")


@dataclass(frozen=True, slots=True)
class Want:
    """One published service of a pod: its key, its hosts, and where requests go.

    `label` is unique at this provider. `pods` get requests; those in `draining` finish what they
    have and get no new ones; so does any other replica that HAProxy knows, and is then removed.
    """

    label: str
    hosts: tuple[str, ...]
    pods: tuple[PodAddress, ...] = ()
    draining: tuple[PodAddress, ...] = ()


@dataclass(frozen=True, slots=True)
class FacadeState:
    """Everything that the facade should serve."""

    wants: tuple[Want, ...] = ()


@dataclass(frozen=True, slots=True)
class SlotTable:
    """Who has which slot. A slot in `leaving` belongs to nobody and is not free yet."""

    size: int
    hosts: Mapping[str, int] = field(default_factory=dict)
    labels: Mapping[str, int] = field(default_factory=dict)
    leaving: frozenset[int] = frozenset()

    @property
    def free(self) -> int:
        """How many pods could still be published."""
        return self.size - len(self.used)

    @property
    def used(self) -> set[int]:
        """Slots that nobody else can have."""
        return {*self.hosts.values(), *self.labels.values(), *self.leaving}


def assign(table: SlotTable, label: str, hosts: tuple[str, ...]) -> tuple[SlotTable, int]:
    """Give *label* a slot: the one it has, the one its hosts point to, or a free one.

    Raises Refused when no slot is free (rule `slots`) or a host is another's (rule `host-taken`).
    """
    for host in hosts:
        check_host(host)
    owners = {slot: owner for owner, slot in table.labels.items()}
    slot = table.labels.get(label)
    for host in hosts:
        at = table.hosts.get(host)
        if at is None or at == slot:
            continue
        if at in owners or at in table.leaving:
            raise Refused(f"{host} belongs to another pod", rule="host-taken")
        slot = at if slot is None else slot
    if slot is None:
        slot = _free_slot(table)
    kept = {host: at for host, at in table.hosts.items() if at != slot and host not in hosts}
    labels = {**table.labels, label: slot}
    return replace(table, hosts={**kept, **dict.fromkeys(hosts, slot)}, labels=labels), slot


def leave(table: SlotTable, slot: int) -> SlotTable:
    """Take a slot's hosts and tenant away; it is not free before `release`."""
    return replace(
        table,
        hosts={host: at for host, at in table.hosts.items() if at != slot},
        labels={label: at for label, at in table.labels.items() if at != slot},
        leaving=table.leaving | {slot},
    )


def release(table: SlotTable, slot: int) -> SlotTable:
    """Nothing of the last tenant is left in the slot: the next may have it."""
    return replace(table, leaving=table.leaving - {slot})


def unclaimed(table: SlotTable) -> frozenset[int]:
    """Slots that hosts point to though no label has them: left by an earlier daemon."""
    return frozenset(table.hosts.values()) - frozenset(table.labels.values())


def map_text(hosts: Mapping[str, int]) -> str:
    """The map file: a host and its backend on each line."""
    return "".join(f"{host} {backend_name(slot)}\n" for host, slot in sorted(hosts.items()))


def parse_map_text(text: str, size: int) -> dict[str, int]:
    """Hosts and slots of a map file; lines that are not ours are left out."""
    return _hosts((line.split() for line in text.splitlines()), size)


def parse_map_reply(text: str, size: int) -> dict[str, int]:
    """The same of the reply to `show map`, whose lines begin with an address."""
    return _hosts((line.split()[1:] for line in text.splitlines()), size)


def host_commands(map_file: Path, wanted: Mapping[str, int], seen: Mapping[str, int]) -> list[str]:
    """What makes HAProxy's host map equal to *wanted*. `add` on a known host would double it."""
    commands = [f"del map {map_file} {host}" for host in seen if host not in wanted]
    for host, slot in wanted.items():
        if seen.get(host) == slot:
            continue
        verb = "set" if host in seen else "add"
        commands.append(f"{verb} map {map_file} {check_host(host)} {backend_name(slot)}")
    return commands


def check_host(host: str) -> str:
    """*host* itself; LocalProtocolError if it could be anything but a host name."""
    if not _HOST.match(host) or ".." in host:
        raise LocalProtocolError(f"not a host name: {host!r}")
    return host


def _free_slot(table: SlotTable) -> int:
    used = table.used
    for slot in range(table.size):
        if slot not in used:
            return slot
    raise Refused(f"all {table.size} slots of the facade are taken", rule="slots")


def _hosts(rows: Iterable[list[str]], size: int) -> dict[str, int]:
    hosts = {}
    for row in rows:
        slot = slot_of(row[1]) if len(row) == 2 else None
        if slot is not None and slot < size and _HOST.match(row[0]):
            hosts[row[0]] = slot
    return hosts
