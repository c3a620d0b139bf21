# SPDX-License-Identifier: Apache-2.0
"""The text of haproxy.cfg. Pure: what must change at run time (hosts, pods) is not in it.

Backends cannot be made at run time, so a pool of numbered slots is made here; a slot's only fixed
server is the activator's socket, as backup. Later pools (h2, tcp) are further lists of slots with
numbers after these.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from trustedpods.protocol.errors import BadInput
from trustedpods.provider.facade import pages

BACKEND_ID_BASE = 1000
"""Slot n's backend has the proxy id 1000 + n, so that statistics can be asked for by number."""

_BIND = re.compile(r"^(\[[0-9a-fA-F:]+\]|[0-9A-Za-z.\-*]*):\d{1,5}$")
_NETNS = re.compile(r"^[0-9A-Za-z._\-]{1,64}$")
_PATH = re.compile(r"^/[0-9A-Za-z._\-/]{1,107}$")  # 108 bytes is what a unix socket's name may have


@dataclass(frozen=True, slots=True)
class Bind:
    """An address to listen on; `namespace` is a network namespace by its name in /run/netns."""

    address: str
    namespace: str | None = None


@dataclass(frozen=True, slots=True)
class FacadeLimits:
    """What one client, and all of them, may take.

    `header_s`: a request's headers must be complete by then (slow loris). `per_source`:
    connections from one client address. `connections`: from all clients; None is as many as the
    process may have files for. `connect_ms`: also the pause before a refused request is tried
    again. `idle_s`: silence after which either side of a request is given up; `tunnel_s`: of an
    upgraded connection.
    """

    header_s: int = 10
    keep_alive_s: int = 60
    per_source: int = 1024
    connections: int | None = None
    connect_ms: int = 500
    idle_s: int = 3600
    tunnel_s: int = 86400


@dataclass(frozen=True, slots=True)
class FacadeConfig:
    """Everything that HAProxy is told at its start.

    Paths are absolute; the folders exist and belong to the facade alone. `threads` None is one
    per core.
    """

    binds: tuple[Bind, ...]
    slots: int
    runtime_socket: Path
    map_file: Path
    activator_dir: Path
    pages_dir: Path
    limits: FacadeLimits = FacadeLimits()
    threads: int | None = None

    def __post_init__(self) -> None:
        """Refuse what would change the meaning of the file."""
        if not self.binds:
            raise BadInput("the facade needs an address to listen on", where="facade.binds")
        if not 1 <= self.slots <= 4096:
            raise BadInput(f"slots is {self.slots}: from 1 to 4096", where="facade.slots")
        for bind in self.binds:
            if not _BIND.match(bind.address) or (bind.namespace and not _NETNS.match(bind.namespace)):
                raise BadInput(f"not an address to listen on: {bind}", where="facade.binds")
        for path in (self.runtime_socket, self.map_file, self.activator_dir, self.pages_dir):
            if not _PATH.match(str(path)):
                raise BadInput(f"not a plain absolute path: {path}", where="facade")


def backend_name(slot: int) -> str:
    """Name of the slot's backend: what the host map's values are."""
    return f"slot{slot}"


def slot_of(backend: str) -> int | None:
    """The slot of a backend's name; None for a backend that is none of ours."""
    number = backend.removeprefix("slot")
    return int(number) if number != backend and number.isascii() and number.isdigit() else None


def socket_path(activator_dir: Path, slot: int) -> Path:
    """Where the activator listens for the slot."""
    return activator_dir / f"{backend_name(slot)}.sock"


def page_files(config: FacadeConfig) -> dict[Path, bytes]:
    """The files that the configuration names, with their contents."""
    sent = (*pages.PROXY_PAGES, pages.NO_SUCH_HOST)
    return {_page_path(config, page): page.raw() for page in sent}


def haproxy_config(config: FacadeConfig) -> str:
    """haproxy.cfg; the files of `page_files` and the map file must exist when it is read."""
    parts = [_global(config), _defaults(config), _frontend(config), _nowhere(config)]
    parts += [_slot(config, slot) for slot in range(config.slots)]
    return "\n".join(parts)


def _page_path(config: FacadeConfig, page: pages.Page) -> Path:
    return config.pages_dir / f"{page.status.value}.http"


def _section(title: str, lines: list[str]) -> str:
    return "\n".join([title, *(f"  {line}" for line in lines), ""])


def _global(config: FacadeConfig) -> str:
    lines = [
        f"stats socket unix@{config.runtime_socket} mode 600 level admin",
        "stats timeout 30s",
        "stats maxconn 32",
        "hard-stop-after 1h",
        "log stderr format raw local0 err",
    ]
    if config.threads is not None:
        lines.append(f"nbthread {config.threads}")
    if config.limits.connections is not None:
        lines.append(f"maxconn {config.limits.connections}")
    return _section("global", lines)


def _defaults(config: FacadeConfig) -> str:
    limits = config.limits
    lines = [
        "mode http",
        "log global",
        "option contstats",
        "option dontlognull",
        f"timeout connect {limits.connect_ms}ms",
        f"timeout client {limits.idle_s}s",
        f"timeout server {limits.idle_s}s",
        f"timeout tunnel {limits.tunnel_s}s",
        f"timeout http-request {limits.header_s}s",
        f"timeout http-keep-alive {limits.keep_alive_s}s",
        "timeout client-fin 30s",
        "timeout queue 30s",
        "timeout check 500ms",
        # A pod that refuses is tried elsewhere, in the end at the activator, which waits for it.
        "retries 3",
        "option redispatch 1",
        "retry-on conn-failure",
        "option abortonclose",
        # Picks the less loaded of two; unlike leastconn it moves a refused request at once.
        "balance random",
    ]
    lines += [f"errorfile {page.status.value} {_page_path(config, page)}" for page in pages.PROXY_PAGES]
    return _section("defaults", lines)


def _frontend(config: FacadeConfig) -> str:
    lines = [_bind(bind) for bind in config.binds]
    if config.limits.connections is not None:
        lines.append(f"maxconn {config.limits.connections}")
    lines += [
        "stick-table type ipv6 size 100k expire 10m store conn_cur",
        "tcp-request connection track-sc0 src",
        f"tcp-request connection reject if {{ sc0_conn_cur gt {config.limits.per_source} }}",
        # What a client says about itself is not passed on.
        "http-request del-header X-Forwarded-For",
        "http-request del-header Forwarded",
        "http-request del-header Proxy",
        "option forwardfor",
        "http-request set-header X-Forwarded-Proto http",
        "http-request set-header X-Forwarded-Host %[req.hdr(host)]",
        f"use_backend %[req.hdr(host),field(1,:),lower,map({config.map_file})]"
        f" if {{ req.hdr(host),field(1,:),lower,map({config.map_file}) -m found }}",
        "default_backend nowhere",
    ]
    return _section("frontend web", lines)


def _bind(bind: Bind) -> str:
    return f"bind {bind.address}" + (f" namespace {bind.namespace}" if bind.namespace else "")


def _nowhere(config: FacadeConfig) -> str:
    page = _page_path(config, pages.NO_SUCH_HOST)
    return _section(
        "backend nowhere", [f"errorfile 404 {page}", "http-request return status 404 default-errorfiles"]
    )


def _slot(config: FacadeConfig, slot: int) -> str:
    lines = [
        f"id {BACKEND_ID_BASE + slot}",
        f"server activator unix@{socket_path(config.activator_dir, slot)} backup pool-max-conn 0",
    ]
    return _section(f"backend {backend_name(slot)}", lines)
