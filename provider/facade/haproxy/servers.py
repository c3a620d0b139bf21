# SPDX-License-Identifier: Apache-2.0
"""The servers of a slot: what HAProxy has, and what it must be told to have the wanted ones. Pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from trustedpods.protocol.errors import LocalProtocolError
from trustedpods.provider.core.traffic import PodAddress
from trustedpods.provider.facade.haproxy.config import backend_name, slot_of
from trustedpods.provider.facade.pools import SlotProtocol

ACTIVATOR = "activator"
"""Name of the fixed server of each slot."""

_SERVER = re.compile(r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$")
_MAINT_BITS = 0x01 | 0x02 | 0x20  # forced by command, inherited, by failed resolution

# Without `check` a pod that refuses would be tried three times and then given up; one refused
# connection marks it down, and the next request goes elsewhere. A server that is added at run time
# gets none of the usual defaults: without the pool options every request would be a new
# connection, which halves the throughput and worse.
_SERVER_OPTIONS = (
    "check inter 2s fastinter 200ms downinter 200ms fall 1 rise 1"
    " observe layer4 error-limit 1 on-error mark-down pool-max-conn -1 pool-purge-delay 5s"
)


@dataclass(frozen=True, slots=True)
class ServerSeen:
    """A server of a slot as HAProxy has it; `maint` means that it gets nothing new."""

    slot: int
    name: str
    ip: str
    port: int
    number: int
    maint: bool


def parse_servers(text: str) -> tuple[ServerSeen, ...]:
    """The servers that were added at run time, of the reply to `show servers state`."""
    columns: list[str] = []
    servers: list[ServerSeen] = []
    for line in text.splitlines():
        if line.startswith("# "):
            columns = line[2:].split()
            continue
        row = dict(zip(columns, line.split(), strict=False))
        slot = slot_of(row.get("be_name", ""))
        if slot is not None and row["srv_name"] != ACTIVATOR:
            servers.append(_server(slot, row))
    return tuple(servers)


def server_commands(
    slot: int,
    pods: Iterable[PodAddress],
    draining: Iterable[PodAddress],
    seen: tuple[ServerSeen, ...],
    protocol: SlotProtocol = SlotProtocol.HTTP,
) -> list[str]:
    """What makes the slot's servers as wanted, but for removals: see `removals`."""
    options = _SERVER_OPTIONS + (" proto h2" if protocol is SlotProtocol.H2 else "")
    known = {server.name: server for server in seen}
    numbers = {server.number for server in seen}
    commands = []
    for pod in pods:
        server = known.get(pod.name)
        path = f"{backend_name(slot)}/{_check_pod(pod)}"
        if server is None:
            number = next(n for n in range(2, 4096) if n not in numbers)
            numbers.add(number)
            commands += [
                f"add server {path} {_address(pod)} id {number} {options}",
                f"enable health {path}",
                f"enable server {path}",
            ]
        elif server.maint:
            commands.append(f"set server {path} state ready")
    for pod in draining:
        server = known.get(pod.name)
        if server is not None and not server.maint:
            commands.append(f"set server {backend_name(slot)}/{server.name} state maint")
    return commands


def removals(
    pods: Iterable[PodAddress], draining: Iterable[PodAddress], seen: tuple[ServerSeen, ...]
) -> list[ServerSeen]:
    """Servers to remove: those of no wanted pod, and those whose address is no longer the pod's."""
    addresses = {pod.name: (pod.ip, pod.port) for pod in (*pods, *draining)}
    return [server for server in seen if addresses.get(server.name) != (server.ip, server.port)]


def removal_commands(server: ServerSeen, *, cut: bool) -> list[str]:
    """Remove a server, with its connections if *cut*.

    The last command is refused while a connection remains.
    """
    path = f"{backend_name(server.slot)}/{server.name}"
    stop = [] if server.maint else [f"set server {path} state maint"]
    shut = [f"shutdown sessions server {path}"] if cut else []
    return [*stop, *shut, f"del server {path}"]


def shut_activator(slot: int) -> str:
    """Cut what the slot's activator holds, or passes on."""
    return f"shutdown sessions server {backend_name(slot)}/{ACTIVATOR}"


def _check_pod(pod: PodAddress) -> str:
    if not _SERVER.match(pod.name) or pod.name == ACTIVATOR:
        raise LocalProtocolError(f"not a pod's name: {pod.name!r}")
    return pod.name


def _address(pod: PodAddress) -> str:
    try:
        ip = ip_address(pod.ip)
    except ValueError:
        raise LocalProtocolError(f"not an address: {pod.ip!r}") from None
    return f"[{ip}]:{pod.port}" if ip.version == 6 else f"{ip}:{pod.port}"


def _server(slot: int, row: Mapping[str, str]) -> ServerSeen:
    return ServerSeen(
        slot=slot,
        name=row["srv_name"],
        ip=row["srv_addr"],
        port=int(row["srv_port"]),
        number=int(row["srv_id"]),
        maint=bool(int(row["srv_admin_state"]) & _MAINT_BITS),
    )
