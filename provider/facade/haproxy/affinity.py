# SPDX-License-Identifier: Apache-2.0
"""Requests of one client go to one replica, for slots that ask for it: the stick tables and their keys. Pure.

Cookies and hashes of HAProxy's own do not hold while servers come and go at run time. A table of each slot
says which client goes to which replica, by the replica's name: tenants cannot push each other's clients out,
and a replica that has ended leads nowhere. A reload hands the tables on, a restart ends them.

The map AFFINITY has for a slot what its clients are known by: `ip`, `header:NAME` or `cookie:NAME`. Of a
header or a cookie the table holds a hash, as both may be secrets.
"""

from pathlib import Path

from trustedpods.provider.facade.haproxy.config import FacadeConfig
from trustedpods.provider.facade.haproxy.maps import SlotMap

BY_ADDRESS = "ip"
"""In the map: a client is known by its address."""

KEY_HEADER = "trustedpods-affinity"
"""Tells the inner frontend (`bodies`) the key; a client's own header of that name is never read."""

_PEERS, _PEER = "reloads", "facade"

_TABLE = f"stick-table type string len 40 size 8k expire 1h peers {_PEERS}"
"""A SHA-1 in hex has 40 signs, an address up to 39. At 8192 clients the one seen longest ago makes room."""

_LUA = """\
-- SPDX-License-Identifier: Apache-2.0
-- What a client is known by, where its service names a header or a cookie.
local function named(txn, kind)
  local how = txn:get_var("txn.stick")
  return how and how:match("^" .. kind .. ":(.+)$")
end

local function asked(txn)
  local header, cookie = named(txn, "header"), named(txn, "cookie")
  local said = header and txn.f:req_fhdr(header) or cookie and txn.f:req_cook(cookie) or ""
  return said ~= "" and txn.c:hex(txn.c:sha1(said))
end

core.register_action("affinity", {"http-req"}, function(txn)
  local key = txn:get_var("txn.stick") == "BY_ADDRESS" and txn.f:src() or asked(txn)
  if key then txn:set_var("txn.affinity", key) end
end)

core.register_fetches("affinity-given", function(txn)
  local cookie = named(txn, "cookie")
  return cookie and txn.f:res_cook(cookie) or ""
end)
"""


def lua() -> str:
    """The action and the fetch."""
    return _LUA.replace("BY_ADDRESS", BY_ADDRESS)


def lua_path(config: FacadeConfig) -> Path:
    """Where they lie."""
    return config.pages_dir / "affinity.lua"


def peer_socket(config: FacadeConfig) -> Path:
    """Where a process hands its tables to the one that takes its place."""
    return config.runtime_socket.with_name("peer.sock")


def local_peer() -> str:
    """Its name for itself: HAProxy would take the machine's, which no line here could know."""
    return f"localpeer {_PEER}"


def peers(config: FacadeConfig) -> tuple[str, list[str]]:
    """The section by which a process that is told to end (`-sf`) teaches its successor all tables.

    Without it each process begins with empty ones. The only peer is the process itself; nobody else can reach
    its socket. HAProxy teaches nobody in its first five seconds, in which it waits for a teacher of its own.
    """
    return f"peers {_PEERS}", [f"bind unix@{peer_socket(config)} mode 600", f"server {_PEER}"]


def known_by(config: FacadeConfig) -> str:
    """What a slot's clients are known by; the slot is in `txn.slot`."""
    return (
        f"http-request set-var(txn.stick) var(txn.slot),map_str({SlotMap.AFFINITY.beside(config.map_file)})"
    )


def rules(config: FacadeConfig) -> list[str]:
    """Rules of the outer frontends, after the slot is known: the client's key, if it has one."""
    return [
        known_by(config),
        "http-request lua.affinity if { var(txn.stick) -m found }",
    ]


def handed_on() -> list[str]:
    """Rules of the outer backend of `bodies`."""
    return [
        f"http-request del-header {KEY_HEADER}",
        f"http-request set-header {KEY_HEADER} %[var(txn.affinity)] if {{ var(txn.affinity) -m found }}",
    ]


def handed_over(config: FacadeConfig) -> list[str]:
    """Rules of the inner frontend of `bodies`, after the slot is known."""
    return [
        known_by(config),
        f"http-request set-var(txn.affinity) req.hdr({KEY_HEADER}) if {{ req.hdr({KEY_HEADER}) -m found }}",
        f"http-request del-header {KEY_HEADER}",
    ]


def of_web_slot() -> list[str]:
    """Lines of a slot of http: who is known goes where it went; a cookie belongs to who has set it."""
    return [
        _TABLE,
        "stick on var(txn.affinity)",
        "stick store-response lua.affinity-given,sha1,hex"
        " if { var(txn.stick) -m beg cookie: } { lua.affinity-given -m len gt 0 }",
    ]


def of_tcp_slot() -> list[str]:
    """The same for a slot of tcp, which knows addresses alone."""
    return [_TABLE, "stick on src if { var(sess.stick) -m found }"]


def of_tcp_ports(config: FacadeConfig, backend: str) -> str:
    """A rule of the frontend of such a slot."""
    file = SlotMap.AFFINITY.beside(config.map_file)
    return f"tcp-request connection set-var(sess.stick) str({backend}),map_str({file})"
