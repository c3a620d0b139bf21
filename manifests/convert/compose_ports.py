# SPDX-License-Identifier: Apache-2.0
"""Compose's ports and `expose` as ports of containers and services of the pod.

Source of the format: the Compose specification, "services" (ports, expose).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from trustedpods.manifests.convert.parts import PodParts
from trustedpods.manifests.convert.values import text_of
from trustedpods.manifests.problem import Location

NOT_HTTP = frozenset({
    21, 22, 23, 25, 53, 110, 143, 389, 443, 465, 587, 636, 853, 993, 995, 1433, 1521, 1883, 2181, 2379, 3306,
    4222, 5432, 5671, 5672, 6379, 6432, 8443, 8883, 9042, 9092, 9300, 11211, 27017, 28015, 30303, 30333,
})  # fmt: skip
"""Ports that IANA or their programs give to protocols that are not HTTP, or that carry their own TLS."""

_SHORT = re.compile(
    r"(?:(?:(?P<ip>\[[0-9a-f:]+\]|[0-9.]+):)?(?P<outer>[0-9]*):)?(?P<port>[0-9]{1,5})(?:/(?P<protocol>tcp|udp))?",
    re.ASCII | re.IGNORECASE,
)
_EACH_PORT = (
    "write each port by itself, as 8080 or 8080:80 or 53:53/udp; `docker compose config` writes out ranges"
)
_MAX_PORT = 65535


@dataclass(frozen=True, slots=True)
class _Port:
    port: int
    protocol: str
    app: str | None = None
    local: bool = False
    """Published for this machine alone."""


def container_ports(
    parts: PodParts, name: str, service: Mapping[str, object], at: Location
) -> list[dict[str, object]]:
    """`ports` of the container *name*, with the pod's services for those that are published."""
    made: list[dict[str, object]] = []
    found = parts.found
    for index, entry in enumerate(found.items(service.get("ports"), (*at, "ports"))):
        where = (*at, "ports", index)
        one = _read(parts, entry, where)
        if one is None or not parts.listen(name, one.port, one.protocol, where):
            continue
        _add(made, one)
        if one.local:
            found.note(
                f"port {one.port} was published for this machine alone: nobody reaches it from outside"
            )
        else:
            _publish(parts, one)
    for index, entry in enumerate(found.items(service.get("expose"), (*at, "expose"))):
        where = (*at, "expose", index)
        one = _read(parts, entry, where)
        if one is not None and parts.listen(name, one.port, one.protocol, where):
            _add(made, one)
    return made


def _add(made: list[dict[str, object]], one: _Port) -> None:
    entry: dict[str, object] = {"containerPort": one.port}
    if one.protocol == "udp":
        entry["protocol"] = "UDP"
    if entry not in made:
        made.append(entry)


def _publish(parts: PodParts, one: _Port) -> None:
    if one.protocol == "udp":
        parts.expose("udp", one.port)
    elif (one.app or "").startswith(("http", "ws")) or (one.app is None and one.port not in NOT_HTTP):
        parts.expose("http", one.port)
        if one.app is None:
            parts.found.note(f"port {one.port} is taken to speak HTTP; write `expose: tcp` where it does not")
    else:
        parts.expose("tcp", one.port)
    if one.protocol == "udp" or one.port in NOT_HTTP:
        parts.found.note(
            f"the provider chooses by which of its ports {one.port} is reached, and deploy prints it"
        )


def _read(parts: PodParts, entry: object, at: Location) -> _Port | None:
    found = parts.found
    if isinstance(entry, Mapping):
        return _long(parts, entry, at)
    text = text_of(entry, at, found)
    match = _SHORT.fullmatch(text)
    if match is None or not 1 <= int(match["port"]) <= _MAX_PORT:
        found.refuse(at, _EACH_PORT)
        return None
    local = (match["ip"] or "").startswith(("127.", "[::1]"))
    return _Port(int(match["port"]), (match["protocol"] or "tcp").lower(), local=local)


def _long(parts: PodParts, entry: Mapping[object, object], at: Location) -> _Port | None:
    found = parts.found
    for key in entry:
        if key not in ("target", "published", "protocol", "app_protocol", "host_ip", "mode", "name"):
            found.refuse((*at, str(key)), "leave it out: a port has its number and its protocol here")
    text = text_of(entry.get("target"), (*at, "target"), found)
    protocol = text_of(entry.get("protocol", "tcp"), (*at, "protocol"), found).lower()
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:6]) <= _MAX_PORT:
        found.refuse((*at, "target"), "write the port at which the container listens")
        return None
    if protocol not in ("tcp", "udp"):
        found.refuse((*at, "protocol"), "write tcp or udp")
        return None
    app = entry.get("app_protocol")
    spoken = None if app is None else text_of(app, (*at, "app_protocol"), found)
    local = text_of(entry.get("host_ip", ""), (*at, "host_ip"), found).startswith(("127.", "::1"))
    return _Port(int(text), protocol, spoken, local)
