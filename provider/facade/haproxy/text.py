# SPDX-License-Identifier: Apache-2.0
"""The text of haproxy.cfg, for HAProxy 2.6 and newer. Pure."""

from trustedpods.provider.facade import pages
from trustedpods.provider.facade.haproxy import affinity, bodies, requests, unread
from trustedpods.provider.facade.haproxy.config import (
    BACKEND_ID_BASE,
    Bind,
    FacadeConfig,
    answer,
    backend_name,
    page_path,
    socket_path,
)
from trustedpods.provider.facade.haproxy.maps import RESTING_KEY, SlotMap
from trustedpods.provider.facade.pools import SlotProtocol

_ACTIVATOR = {
    SlotProtocol.HTTP: "backup pool-max-conn 0",
    # One request for each connection, so that what is held can be counted.
    SlotProtocol.H2: "backup pool-max-conn 0 max-reuse 0 proto h2",
    SlotProtocol.TCP: "backup",
}

_SOURCE = "src,ipmask(32,64)"
"""Who is counted as one: an address of IPv4, a network of IPv6: a subscriber has all its 2^64 addresses."""

_KEEP_ALIVE = {"idle": "30s", "intvl": "10s"}
"""A peer that is gone is found within two minutes: a minute after it closed its socket its kernel forgets it
and says so to the next question (tcp_fin_timeout); one that was unplugged does not answer nine of them,
Linux's own number (tcp_keepalive_probes). Each setting costs every connection a system call."""

PIPE_BYTES = 256 * 1024
"""Of a pipe in which the kernel carries an answer past HAProxy.

With the 64 KiB that Linux gives by itself a download costs 1.5 times the CPU.
"""

PIPES = 128
"""Pipes at once; an answer that finds none is copied, as all were before.

All of them are half of what Linux lets one user have before it makes new pipes tiny
(fs.pipe-user-pages-soft, 64 MiB). Without a number HAProxy would take a quarter of its connections.
"""


def haproxy_config(config: FacadeConfig) -> str:
    """haproxy.cfg; the page, map and certificate files that it names must exist when it is read."""
    parts = [_global(config), _http_defaults(config), _tcp_defaults(config)]
    parts.append(_section(*affinity.peers(config)))
    parts += [
        _section("defaults pods from http", [*requests.known_here(), *unread.cut()]),
        _web(config),
        *_tables(),
        _nowhere(config),
        *(_section(f"backend {name} from http", lines) for name, lines in requests.refusals(config).items()),
    ]
    parts.append(_https(config))
    parts += _ended(config)
    parts.append(_section(f"backend {unread.BACKEND} from tcp", unread.backend()))
    parts.append(_section("backend measured from pods", bodies.outer_backend(config)))
    parts.append(_section("frontend measured-bodies from http", bodies.inner_frontend(config)))
    parts += [] if config.exporter is None else [_exporter(config.exporter)]
    parts += [_slot(config, slot) for protocol in _HTTP for slot in config.pools.slots(protocol)]
    if config.pools.tcp:
        for index, slot in enumerate(config.pools.slots(SlotProtocol.TCP)):
            parts += [*([_tcp(config, slot, index)] if config.tcp_binds else []), _slot(config, slot)]
    return "\n".join(parts)


_HTTP = (SlotProtocol.HTTP, SlotProtocol.H2)


def _section(title: str, lines: list[str]) -> str:
    return "\n".join([title, *(f"  {line}" for line in lines), ""])


def _global(config: FacadeConfig) -> str:
    lines = [
        f"stats socket unix@{config.runtime_socket} mode 600 level admin",
        "stats timeout 30s",
        "stats maxconn 32",
        "hard-stop-after 1h",
        affinity.local_peer(),
        "log stderr format raw local0 err",
        "ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets",
        *(f"lua-load-per-thread {room.lua_path(config)}" for room in (affinity, bodies, requests, unread)),
        *unread.settings(),
        f"maxpipes {PIPES}",
        f"tune.pipesize {PIPE_BYTES}",
    ]
    if config.threads is not None:
        lines.append(f"nbthread {config.threads}")
    if config.limits.connections is not None:
        lines.append(f"maxconn {config.limits.connections}")
    return _section("global", lines)


def _common_defaults(config: FacadeConfig) -> list[str]:
    limits = config.limits
    return [
        "log global",
        "option contstats",
        # Long answers go from socket to socket in the kernel, which halves what a download costs. Not
        # `splice-auto`: what that takes for a fast stream changes all the time, and it saves little.
        "option splice-response",
        # Of requests nothing is logged. Without a format HAProxy makes a line for each, and throws it away.
        "option dontlog-normal",
        "log-format -",
        f"timeout connect {limits.connect_ms}ms",
        "timeout queue 30s",
        "timeout check 500ms",
        # Who has ended its half still gets a late answer; who is gone without a word the kernel finds.
        *(f"option {side}tcpka" for side in ("cli", "srv")),
        *(f"{side}tcpka-{name} {value}" for side in ("cli", "srv") for name, value in _KEEP_ALIVE.items()),
        # A pod that refuses is tried elsewhere, in the end at the activator, which waits for it.
        "retries 3",
        "option redispatch 1",
        # Picks the less loaded of two; unlike leastconn it moves a refused request at once.
        "balance random",
    ]


def _http_defaults(config: FacadeConfig) -> str:
    limits = config.limits
    lines = [
        "mode http",
        *_common_defaults(config),
        f"timeout client {limits.idle_s}s",
        f"timeout server {limits.idle_s}s",
        f"timeout tunnel {limits.tunnel_s}s",
        f"timeout http-request {limits.header_s}s",
        f"timeout http-keep-alive {limits.keep_alive_s}s",
        "retry-on conn-failure",
    ]
    lines += [f"errorfile {page.status.value} {page_path(config, page)}" for page in pages.PROXY_PAGES]
    return _section("defaults http", lines)


def _tcp_defaults(config: FacadeConfig) -> str:
    silence = f"{config.limits.tunnel_s}s"
    return _section(
        "defaults tcp",
        ["mode tcp", *_common_defaults(config), f"timeout client {silence}", f"timeout server {silence}"],
    )


def _web(config: FacadeConfig) -> str:
    lines = [f"{_bind(bind)} name {bind.port}" for bind in config.binds]
    lines += [
        f"{_bind(bind)} name {bind.port} ssl crt-list {config.crt_list} alpn h2,http/1.1"
        for bind in config.tls_binds
    ]
    if config.limits.connections is not None:
        lines.append(f"maxconn {config.limits.connections}")
    lines += [
        "mode tcp",
        *unread.silenced(),
        *_sources(config),
        *requests.known_of_connection("so_name"),
        *unread.first_look(config),
        *_rules(config, first_tcp=True),
        *_ways(),  # first, as nearly all have a slot; what is still TCP has none
        *unread.way_around(),
        *unread.way_out(),
        "default_backend nowhere",
    ]
    return _section("frontend web from http", lines)


def _ended(config: FacadeConfig) -> list[str]:
    """The way of those who end their half with their first request."""
    lines = [
        f"bind unix@{unread.ended_socket(config)} mode 600 accept-proxy",
        *unread.silenced(),
    ]
    lines += [
        *requests.known_of_connection("dst_port,concat()"),
        *_rules(config, first_tcp=False),
        *_ways(),
        "default_backend nowhere",
    ]
    return [
        _section(f"backend {unread.ENDED} from tcp", unread.ended_backend(config)),
        _section(f"frontend {unread.ENDED}-web from http", lines),
    ]


def _rules(config: FacadeConfig, *, first_tcp: bool) -> list[str]:
    return [
        *requests.sizes(config, first_tcp=first_tcp),
        *requests.challenges(config),
        *requests.host_and_target(config),
        *requests.claims_deleted(),
        *_asking_nothing(config),
        *_pod_limits(config),
        *affinity.rules(config),
        *bodies.rules(config),
        f"http-request set-var(txn.https) var(txn.slot),map_str_int({SlotMap.HTTPS.beside(config.map_file)})",
    ]


def _asking_nothing(config: FacadeConfig) -> list[str]:
    """The last rule of this frontend for slots that ask for nothing: what follows asks a map of each line."""
    asking = f"var(txn.slot),map_str_int({SlotMap.ASKING.beside(config.map_file)})"
    return [f"http-request allow unless {{ {asking} -m found }}"]


def _ways() -> list[str]:
    return [
        "use_backend https if { var(txn.https) -m found } !{ ssl_fc }",
        bodies.way_in(),
        "use_backend %[var(txn.slot)] if { var(txn.slot) -m found }",
    ]


def _sources(config: FacadeConfig) -> list[str]:
    """What one client address may take."""
    limits = config.limits
    rate = "" if limits.source_rate is None else ",http_req_rate(1s)"
    lines = [
        f"stick-table type ipv6 size 100k expire 10m store conn_cur{rate}",
        f"tcp-request connection track-sc0 {_SOURCE}",
        f"tcp-request connection reject if {{ sc0_conn_cur gt {limits.per_source} }}",
    ]
    if limits.source_rate is not None:
        lines.append(f"http-request deny deny_status 429 if {{ sc0_http_req_rate gt {limits.source_rate} }}")
    return lines


def _pod_limits(config: FacadeConfig) -> list[str]:
    def limit(which: SlotMap) -> str:
        return f"var(txn.slot),map_str_int({which.beside(config.map_file)})"

    def of_slot(bound: str) -> str:
        """The slot as a key, and none where the variable of the bound was not found."""
        return f"var({bound}),concat(:,txn.slot),field(2,:)"

    # Variables are per request. What has no key is not tracked, and a rule over what is not tracked does not
    # match: of slots without limits nothing else is asked, as each condition costs all requests.
    return [
        f"http-request set-var(txn.rate) {limit(SlotMap.RATES)}",
        f"http-request track-sc2 {of_slot('txn.rate')} table rates",
        "http-request deny deny_status 429 if { sc2_http_req_rate(rates),sub(txn.rate) gt 0 }",
        f"http-request set-var(txn.most) {limit(SlotMap.CONNECTIONS)}",
        f"http-request track-sc1 {of_slot('txn.most')} table slots",
        "http-request deny deny_status 429 if { sc1_conn_cur(slots),sub(txn.most) gt 0 }",
        f"http-request set-var(txn.body) {limit(SlotMap.BODIES)} if {{ req.hdr(content-length) -m found }}",
        "http-request deny deny_status 413 if { var(txn.body) -m found }"
        " { req.hdr_val(content-length),sub(txn.body) gt 0 }",
    ]


def _tables() -> list[str]:
    """Count requests per slot, for the limits: at once, and in a second where somebody asked for that."""
    counts = {"slots": "conn_cur", "rates": "http_req_rate(1s)"}
    stick = "stick-table type string len 16 size 8k store"
    return [_section(f"backend {name} from http", [f"{stick} {count}"]) for name, count in counts.items()]


def _nowhere(config: FacadeConfig) -> str:
    """No pod is known by this host; of a facade that rests nobody may take that for an answer."""
    rests = f"str({RESTING_KEY}),map_str_int({SlotMap.RESTING.beside(config.map_file)}) -m found"
    lines = [
        f"http-request {answer(config, pages.STANDING_BY)} if {{ {rests} }}",
        *_public(config),
        "http-request return status 404 default-errorfiles",
    ]
    return _section("backend nowhere from http", lines)


PUBLIC_PAGE = "/"
PUBLIC_JSON = "/provider.json"

_PUBLIC_FRESH_S = 60
"""How long a browser may keep the public page: it is signed anew every few minutes."""

_ONLY_ITSELF = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'"
"""Content-Security-Policy of the public page: one file, without scripts."""


def _public(config: FacadeConfig) -> list[str]:
    """The provider's public pages, at hosts without a pod. The daemon is not asked: views cost it nothing."""
    text = f"var(txn.host),concat(,txn.path),map_str({config.public_map})"
    headers = (
        f'hdr Cache-Control "public, max-age={_PUBLIC_FRESH_S}" hdr X-Content-Type-Options nosniff'
        f' hdr Content-Security-Policy "{_ONLY_ITSELF}" hdr Referrer-Policy no-referrer'
    )
    kinds = {PUBLIC_PAGE: "text/html; charset=utf-8", PUBLIC_JSON: "application/json"}
    return [
        f'http-request return status 200 content-type "{kind}" lf-string "%[{text},b64dec]" {headers}'
        f" if {{ method GET HEAD }} {{ path {path} }} {{ {text} -m found }}"
        for path, kind in kinds.items()
    ]


def _https(config: FacadeConfig) -> str:
    """The same over TLS."""
    there = f"https://%[var(txn.host)]{config.https_suffix}%[pathq]"
    return _section("backend https from http", [f"http-request redirect location {there} code 308"])


def _exporter(bind: Bind) -> str:
    """By slot: no tenant's name is known here."""
    lines = [
        _bind(bind),
        "option dontlog-normal",
        "http-request use-service prometheus-exporter if { path /metrics }",
        "http-request deny deny_status 404",
    ]
    return _section("frontend exporter from http", lines)


def _bind(bind: Bind) -> str:
    return f"bind {bind.address}" + (f" namespace {bind.namespace}" if bind.namespace else "")


def _tcp(config: FacadeConfig, slot: int, index: int) -> str:
    """The ports of one tcp slot. Without an entry in the map of connections nobody has it."""
    name, limits = backend_name(slot), SlotMap.CONNECTIONS.beside(config.map_file)
    lines = [_bind(bind.port_plus(index)) for bind in config.tcp_binds]
    lines += [
        f"tcp-request connection track-sc0 {_SOURCE} table web",
        f"tcp-request connection reject if {{ sc0_conn_cur(web) gt {config.limits.per_source} }}",
        f"tcp-request connection set-var(sess.most) str({name}),map_str_int({limits})",
        "tcp-request connection reject unless { var(sess.most) -m found }",
        "tcp-request connection reject if { fe_conn,sub(sess.most) gt 0 }",
        affinity.of_tcp_ports(config, name),
        f"default_backend {name}",
    ]
    return _section(f"frontend {name}-ports from tcp", lines)


def _slot(config: FacadeConfig, slot: int) -> str:
    protocol = config.pools.protocol(slot)
    tcp = protocol is SlotProtocol.TCP
    kind, socket = "tcp" if tcp else "pods", socket_path(config.activator_dir, slot)
    return _section(
        f"backend {backend_name(slot)} from {kind}",
        [
            f"id {BACKEND_ID_BASE + slot}",
            *(affinity.of_tcp_slot() if tcp else affinity.of_web_slot()),
            # The activator answers for a replica that is to come: nobody goes back to it.
            f"server activator unix@{socket} {_ACTIVATOR[protocol]} non-stick",
        ],
    )
