# SPDX-License-Identifier: Apache-2.0
"""Fields of a Compose service that are no part of a container: of the pod, dropped, or refused.

Source of the format: the Compose specification, "services".
"""

from collections.abc import Callable, Mapping

from trustedpods.manifests.convert.parts import PodParts
from trustedpods.manifests.convert.values import seconds, text_of
from trustedpods.manifests.problem import Location
from trustedpods.manifests.words.container import CONTAINER

_DROPPED = {
    "labels": "labels are read by nobody here",
    "annotations": "annotations are read by nobody here",
    "container_name": "containers are called as their services",
    "logging": "what is written to stdout and stderr is the log (`trustedpods logs`)",
    "networks": "all services are containers of one pod, and find each other by name; aliases are not made",
    "pull_policy": "an image is the archive's, by its digest",
    "mem_reservation": "a pod gets, and pays, exactly its limits",
    "mem_swappiness": "pods have no swap",
    "oom_kill_disable": "a container over its memory is started again",
    "init": "the image brings its own init",
    "tty": "no terminal is attached",
    "stdin_open": "no terminal is attached",
    "attach": "logs are read by `trustedpods logs`",
    "develop": "`develop` is for work on this machine",
}
"""Fields that change nothing here, and why; told as notes."""

_DONE = frozenset({
    "image", "build", "entrypoint", "command", "working_dir", "environment", "env_file", "ports", "expose",
    "cpus", "mem_limit", "deploy", "scale", "volumes", "tmpfs", "secrets", "configs", "healthcheck", "user",
    "read_only", "depends_on", "profiles",
})  # fmt: skip
"""Fields that are converted elsewhere."""


def convert_rest(service: Mapping[str, object], at: Location, parts: PodParts) -> None:
    """Convert what is the pod's; tell what changes nothing, and refuse all else."""
    for field, value in service.items():
        where = (*at, field)
        if field in _DONE or field.startswith("x-") or value is None or value in ([], {}, False):
            continue
        if field in _OF_THE_POD:
            _OF_THE_POD[field](value, where, parts)
        elif field in _DROPPED:
            parts.found.note(f"{field}: {_DROPPED[field]}")
        elif (word := CONTAINER.get(field)) is None or not word.asks_for_nothing_new(value):
            text = word.advice if word else "leave it out: there is no such thing in a pod"
            parts.found.refuse(where, text)


def _grace(value: object, at: Location, parts: PodParts) -> None:
    parts.grace_s = max(parts.grace_s, seconds(value, at, parts.found) or 0)


def _network_mode(value: object, at: Location, parts: PodParts) -> None:
    if value != "bridge":
        parts.found.refuse(at, CONTAINER["network_mode"].advice)


def _restart(value: object, at: Location, parts: PodParts) -> None:
    found, value = parts.found, text_of(value, at, parts.found)
    if value == "no":
        found.refuse(at, "a container that ends is started again: write always, or make it an init container")
    elif value.startswith("on-failure"):
        found.note("a container that ends well is started again too")
    elif value not in ("always", "unless-stopped"):
        found.refuse(at, "write always")


def _extra_hosts(value: object, at: Location, parts: PodParts) -> None:
    found = parts.found
    entries: list[tuple[Location, str, str]] = []
    if isinstance(value, Mapping):
        entries = [
            ((*at, str(key)), str(key), text_of(one, (*at, str(key)), found)) for key, one in value.items()
        ]
    else:
        for index, one in enumerate(found.items(value, at)):
            text = text_of(one, (*at, index), found)
            name, _, ip = text.partition("=" if "=" in text else ":")
            entries.append(((*at, index), name, ip))
    for where, name, ip in entries:
        if ip == "host-gateway":
            found.refuse(where, "the machine that runs the pod is the provider's, and not reached")
        elif name not in parts.aliases.setdefault(ip, []):
            parts.aliases[ip].append(name)


def _links(value: object, at: Location, parts: PodParts) -> None:
    for index, one in enumerate(parts.found.items(value, at)):
        _, sign, alias = text_of(one, (*at, index), parts.found).partition(":")
        if sign:
            _own_name(alias, parts)


def _hostname(value: object, at: Location, parts: PodParts) -> None:
    _own_name(text_of(value, at, parts.found), parts)


def _own_name(name: str, parts: PodParts) -> None:
    """A further name of a container: all of them are this machine."""
    names = parts.aliases.setdefault("127.0.0.1", [])
    if name not in names:
        names.append(name)


_OF_THE_POD: Mapping[str, Callable[[object, Location, PodParts], None]] = {
    "restart": _restart,
    "stop_grace_period": _grace,
    "extra_hosts": _extra_hosts,
    "links": _links,
    "hostname": _hostname,
    "network_mode": _network_mode,
}
