# SPDX-License-Identifier: Apache-2.0
"""Bodies whose length nobody announced: how HAProxy counts them, and ends them at a service's limit. Pure.

Rules of HAProxy see headers; only a filter sees a body pass, and HAProxy 2.6 has none for this but
those in Lua. One costs every request of its frontend almost as much CPU as the request itself, so it
has a frontend of its own, behind a unix socket: what could be too long takes that way (a chunked body,
or any request in HTTP/2 without a length, to a service that asked for a limit), and all others do not.
There and back it is HTTP/1.1: over HTTP/2 an answer that comes before the body's end is lost.
"""

from pathlib import Path

from trustedpods.provider.facade.haproxy import affinity, requests
from trustedpods.provider.facade.haproxy.config import FacadeConfig
from trustedpods.provider.facade.haproxy.maps import SlotMap

SLOT_HEADER = "trustedpods-slot"
"""Tells the inner frontend the slot; a client's own header of that name is overwritten."""

LUA = """\
-- SPDX-License-Identifier: Apache-2.0
-- Ends a request whose body has more bytes than its variable txn.most says. Nothing beyond passes.
-- HAProxy counts the end of a body as a byte.
-- An error is the one way to end it that leaves no stream behind in HAProxy 2.6 (txn:done does).
local Body = {id = "body limit", flags = filter.FLT_CFG_FL_HTX}
Body.__index = Body

function Body:new()
  return setmetatable({seen = 0}, Body)
end

function Body:http_headers(txn, message)
  self.most = txn:get_var("txn.most")
  if self.most and not message.channel:is_resp() then
    filter.register_data_filter(self, message.channel)
  end
end

function Body:http_payload(txn, message)
  self.seen = self.seen + message:input()
  if self.seen > self.most + 1 then
    txn:set_var("txn.too_large", true)
    error("a body is larger than its service takes", 0)
  end
end

core.register_filter("body-limit", Body, function(body) return body end)
"""


def lua_path(config: FacadeConfig) -> Path:
    """Where the filter lies."""
    return config.pages_dir / "body_limit.lua"


def rules(config: FacadeConfig) -> list[str]:
    """Rules of the outer frontend, after the slot is known."""
    most = f"var(txn.slot),map_str_int({SlotMap.STREAMS.beside(config.map_file)})"
    unknown = "!{ req.hdr(content-length) -m found }"
    return [
        # In HTTP/2 a body shows in no header. A WebSocket there is no body; no other request may say Upgrade.
        f"http-request set-var(txn.stream) {most} if {{ req.hdr(transfer-encoding) -m found }} {unknown}"
        f" || {{ fc_http_major 2 }} {unknown} !{{ req.hdr(upgrade) -m found }}",
    ]


def way_in() -> str:
    """Where they go."""
    return "use_backend measured if { var(txn.stream) -m found }"


def outer_backend(config: FacadeConfig) -> list[str]:
    """Lines of the backend `measured`."""
    return [
        f"http-request set-header {SLOT_HEADER} %[var(txn.slot)]",
        *affinity.handed_on(),
        f"server inside unix@{config.body_socket} pool-max-conn 0",
    ]


def inner_frontend(config: FacadeConfig) -> list[str]:
    """Lines of the frontend `measured-bodies`, which only the outer backend reaches.

    The outer frontend has parsed every request, so the only bad ones here are those that the filter ends.
    """
    most = f"var(txn.slot),map_str_int({SlotMap.STREAMS.beside(config.map_file)})"
    return [
        f"bind unix@{config.body_socket} mode 600",
        "filter lua.body-limit",
        f"http-request set-var(txn.slot) req.hdr({SLOT_HEADER})",
        f"http-request set-var(txn.most) {most}",
        f"http-request del-header {SLOT_HEADER}",
        *affinity.handed_over(config),
        *requests.known_before(),
        "use_backend %[var(txn.slot)] if { var(txn.slot) -m found }",
        "default_backend nowhere",
    ]
