# SPDX-License-Identifier: Apache-2.0
"""What HAProxy is told at its start, as values; `haproxy_cfg` makes the text of it. Pure.

Backends cannot be made at run time, so numbered slots are made at its start, in three pools. What
changes at run time (hosts, pods, limits, certificates) is not in here.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from trustedpods.protocol.errors import BadInput
from trustedpods.provider.facade import pages
from trustedpods.provider.facade.pools import Pools

SHARED_POOLS = "-dMglobal,no-tag"
"""An argument of HAProxy's command: memory that its threads do not hold at hand stays with HAProxy.

Debian's 2.6 gives it back to the C library, and a thread holds 512 KB: eight of our buffers, where 32
connections take some sixty. A connection for each request cost a seventh more CPU, a kept one a twentieth.
"""

BACKEND_ID_BASE = 1000
"""Slot n's backend has the proxy id 1000 + n, so that statistics can be asked for by number."""

_BIND = re.compile(r"^(\[[0-9a-fA-F:]+\]|[0-9A-Za-z.\-*]*):(\d{1,5})$")
_NETNS = re.compile(r"^[0-9A-Za-z._\-]{1,64}$")
_PATH = re.compile(r"^/[0-9A-Za-z._\-/]{1,107}$")  # 108 bytes is what a unix socket's name may have
_HTTPS_SUFFIX = re.compile(r"^(:\d{1,5})?$")


@dataclass(frozen=True, slots=True)
class Bind:
    """An address to listen on; `namespace` is a network namespace by its name in /run/netns."""

    address: str
    namespace: str | None = None

    def port_plus(self, offset: int) -> "Bind":
        """The same address, some ports further."""
        host, _, port = self.address.rpartition(":")
        return Bind(f"{host}:{int(port) + offset}", self.namespace)

    @property
    def port(self) -> int:
        """The port's number."""
        return int(self.address.rpartition(":")[2])


@dataclass(frozen=True, slots=True)
class FacadeLimits:
    """What one client, and all of them, may take.

    `header_s`: a request's headers must be complete by then (slow loris). `per_source`: connections,
    `source_rate`: requests per second, from one client address; None is any number. `connections`:
    from all clients; None is as many as the process may have files for. `body_bytes`: the largest
    body of a request of any pod. `connect_ms`: also the pause before a refused request is tried
    again. `idle_s`: silence after which either side of a request is given up; `tunnel_s`: of an
    upgraded connection, or one of tcp.
    """

    header_s: int = 10
    keep_alive_s: int = 60
    per_source: int = 1024
    source_rate: int | None = None
    connections: int | None = None
    connect_ms: int = 500
    idle_s: int = 3600
    tunnel_s: int = 86400


@dataclass(frozen=True, slots=True)
class FacadeConfig:
    """Everything that HAProxy is told at its start.

    Paths are absolute; the folders exist and belong to the facade alone. `tls_binds` take TLS with
    the certificates that `tls_dir`, a folder in memory, lists; `https_suffix` is what follows the host
    in an https URL. The n-th slot of tcp listens on each of `tcp_binds`, n ports further. At `exporter`
    Prometheus finds HAProxy's own metrics under /metrics. `threads` None is one per core. With `challenges`
    paths in the map of that name are answered with its texts: an authority asks for them.
    """

    binds: tuple[Bind, ...]
    pools: Pools
    runtime_socket: Path
    map_file: Path
    activator_dir: Path
    pages_dir: Path
    tcp_binds: tuple[Bind, ...] = ()
    tls_binds: tuple[Bind, ...] = ()
    tls_dir: Path | None = None
    https_suffix: str = ""
    exporter: Bind | None = None
    limits: FacadeLimits = FacadeLimits()
    threads: int | None = None
    challenges: bool = False

    def __post_init__(self) -> None:
        """Refuse what would change the meaning of the file."""
        self._check_binds()
        if not _HTTPS_SUFFIX.match(self.https_suffix):
            raise BadInput(f"not the rest of an address: {self.https_suffix}", where="facade.https_suffix")
        if self.tls_binds and self.tls_dir is None:
            raise BadInput("TLS needs a folder for certificates", where="facade.tls_dir")
        folders = (
            self.runtime_socket,
            self.body_socket,
            self.map_file,
            self.activator_dir,
            self.pages_dir,
            self.tls_dir,
        )
        for path in folders:
            if path is not None and not _PATH.match(str(path)):
                raise BadInput(f"not a plain absolute path: {path}", where="facade")

    def _check_binds(self) -> None:
        if not self.binds:
            raise BadInput("the facade needs an address to listen on", where="facade.binds")
        extra = () if self.exporter is None else (self.exporter,)
        for bind in (*self.binds, *self.tcp_binds, *self.tls_binds, *extra):
            if not _BIND.match(bind.address) or (bind.namespace and not _NETNS.match(bind.namespace)):
                raise BadInput(f"not an address to listen on: {bind}", where="facade.binds")
        for bind in self.tcp_binds:
            if bind.port + self.pools.tcp > 65536:
                raise BadInput(f"no {self.pools.tcp} ports from {bind.address} on", where="facade.tcp_binds")

    @property
    def body_socket(self) -> Path:
        """HAProxy's way to itself, for bodies that it must count (`bodies`)."""
        return self.runtime_socket.with_name("body.sock")

    @property
    def challenge_map(self) -> Path:
        """What is answered at which path to an authority."""
        return challenge_map(self.map_file)

    @property
    def public_map(self) -> Path:
        """What is shown at the provider's own domain."""
        return public_map(self.map_file)

    @property
    def crt_list(self) -> Path | None:
        """The list of certificates, if TLS is served."""
        return crt_list(self.tls_dir) if self.tls_dir else None


def crt_list(tls_dir: Path) -> Path:
    """HAProxy's list of certificates in the folder."""
    return tls_dir / "crt-list.txt"


NO_CHALLENGES = (
    "this HAProxy has no map of challenges: trustedpods-provider facade-files, then restart HAProxy"
)
"""What to do where it was started with files of before there were any."""


def challenge_map(host_map: Path) -> Path:
    """The map of challenges, beside the host map."""
    return host_map.with_name("challenges.map")


NO_PUBLIC = "this HAProxy has no map of public pages: trustedpods-provider facade-files, then restart HAProxy"
"""The same of the provider's public page."""


def public_map(host_map: Path) -> Path:
    """The map of public pages, beside the host map: base64 by host and path."""
    return host_map.with_name("public.map")


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


def page_path(config: FacadeConfig, page: pages.Page) -> Path:
    """Where the page lies: all of it for one of HAProxy's own, the text alone for one of a rule."""
    if page in pages.RULE_PAGES:
        return config.pages_dir / f"{page.status.value}-{page.name}.txt"
    return config.pages_dir / f"{page.status.value}.http"


def page_files(config: FacadeConfig) -> dict[Path, bytes]:
    """The files that the configuration names, with their contents."""
    whole = {page_path(config, page): page.raw() for page in pages.PROXY_PAGES}
    return whole | {page_path(config, page): page.body for page in pages.RULE_PAGES}


def answer(config: FacadeConfig, page: pages.Page) -> str:
    """The words of a rule that sends the page and goes on with the connection."""
    later = f" hdr Retry-After {page.retry_after}" if page.retry_after else ""
    return (
        f'return status {page.status.value} content-type "text/plain; charset=utf-8"'
        f" file {page_path(config, page)} hdr Cache-Control no-store{later}"
    )
