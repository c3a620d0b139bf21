# SPDX-License-Identifier: Apache-2.0
"""What HAProxy cannot read as a request: how it gets a page that is true, and ours. Pure.

HAProxy answers what its parser refuses before any rule is asked, with a page of its own that no setting
changes (2.6: `h1_send_error`; an error file counts only if it is empty). So connections begin as plain TCP:
what parses as a request becomes HTTP with all rules, and the rest is a service's in Lua, which looks at the
bytes and says what is wrong. Later requests of a connection are parsed without this look. One that cannot be
read there ends the connection without an answer, as if it had been idle; on a new one it gets its page.
"""

from pathlib import Path

from trustedpods.provider.facade import pages
from trustedpods.provider.facade.haproxy.config import FacadeConfig

BACKEND = "unread"
ENDED = "ended"

HARD_BYTES = 64 * 1024
"""HAProxy's buffer. Where it looks at a request in tcp it has room for an address of half of it (2.6)."""

HARD_LINES = pages.HEAD_LINES + 8
"""Lines that HAProxy reads: those that it adds itself come twice where it asks itself (`bodies`).

A rule that counts them would cost each request more than all others that look at sizes.
"""

_VERSIONED = r"^[\r\n]*[^ \r\n]+ [^ \r\n]+ HTTP/"

SILENT = (400, 408, 422, 501)
"""What HAProxy would say by itself of a later request of a connection."""

_LUA = """\
-- SPDX-License-Identifier: Apache-2.0
-- Says to a client why its request could not be read.
local PAGES = {
%(pages)s}
local HEAD_BYTES, HEAD_LINES = %(bytes)d, %(lines)d
local BAD_BODY, TOO_LARGE, BAD_ANSWER = %(bad_body)s, %(too_large)s, %(bad_answer)s

local function verdict(data)
  data = data:gsub("^[\\r\\n]+", "")
  local line = data:match("^([^\\n]*)\\n")
  if not line then
    if #data > HEAD_BYTES then return "long" end
    -- A line that is still coming; what has other bytes than a request's is none.
    return data:find("^[!-~]*$") and "slow" or (data:find("^[!-~]+ [!-~]* ?[!-~]*\\r?$") and "slow") or "form"
  end
  if #line > HEAD_BYTES then return "long" end
  local head = data:match("^(.-\\r?\\n)\\r?\\n")
  local _, count = (head or data):gsub("\\n", "")
  if #(head or data) > HEAD_BYTES or count - 1 > HEAD_LINES then return "large" end
  if head and head:lower():find("\\ntransfer%%-encoding:") then return "coded" end
  if head or not line:find("^[!-~]+ [!-~]+ HTTP/%%d%%.%%d\\r?$") then return "form" end
  return "slow"
end

core.register_action("unread", {"tcp-req"}, function(txn)
  txn:set_var("txn.unread", verdict(txn.req:dup() or ""))
end)

core.register_action("ended", {"tcp-req"}, function(txn)
  if not txn.req:may_recv() then txn:set_var("sess.ended", true) end
end)

-- Line by line, as what a fetch returns has no line ends in HAProxy.
core.register_fetches("cut", function(txn, line)
  local lines = BAD_BODY
  if txn:get_var("txn.too_large") then
    lines = TOO_LARGE
  elseif not txn.res:may_recv() then
    txn:set_var("txn.unanswered", true)
    lines = BAD_ANSWER
  end
  return lines[tonumber(line)] or ""
end)

for name, page in pairs(PAGES) do
  core.register_service("unread-" .. name, "tcp", function(applet) applet:send(page) end)
end
"""

_PAGES = {
    "form": pages.UNREADABLE,
    "coded": pages.CODED,
    "slow": pages.HEADERS_TOO_SLOW,
    "long": pages.TARGET_TOO_LONG,
    "large": pages.HEADERS_TOO_LARGE,
}


def lua() -> str:
    """The service."""
    made = "".join(f"  {name} = {_quoted(page.raw())},\n" for name, page in _PAGES.items())
    return _LUA % {
        "pages": made,
        "bytes": pages.HEAD_BYTES,
        "lines": pages.HEAD_LINES,
        "bad_body": _table(_body_lines(pages.BAD_BODY)),
        "too_large": _table(_body_lines(pages.TOO_LARGE)),
        "bad_answer": _table(_body_lines(pages.BAD_ANSWER)),
    }


def lua_path(config: FacadeConfig) -> Path:
    """Where the service lies."""
    return config.pages_dir / "unread.lua"


def settings() -> list[str]:
    """Lines of `global`."""
    return [f"tune.bufsize {HARD_BYTES}", f"tune.http.maxhdr {HARD_LINES}"]


def silenced() -> list[str]:
    """Lines of the outer frontend: HAProxy says nothing of its own about what it cannot read."""
    return [f"errorfile {status} /dev/null" for status in SILENT]


def first_look(config: FacadeConfig) -> list[str]:
    """Rules of the outer frontend, before those of HTTP; `sess.http`: its first request was read.

    They are asked again whenever something came. What is read the first time was there with the connection,
    and HAProxy has not asked the kernel yet whether there is more, or an end: only later is there one to
    see, and to ask Lua costs each connection as much as reading the request twice.
    """
    again = "{ var(txn.again) -m found }"
    return [
        f"tcp-request inspect-delay {config.limits.header_s}s",
        "tcp-request content accept if { var(sess.http) -m found }",
        "tcp-request content set-var(txn.again) bool(1) if { var(txn.once) -m found }",
        "tcp-request content set-var(txn.once) bool(1)",
        # HTTP/0.9 has no version; what is coded but not in chunks at last has no end. HAProxy parses a
        # request anew for each question about its headers, so the usual one is looked at as it is.
        rf"acl versioned req.payload(0,0) -m reg '{_VERSIONED}'",
        rf"acl plain req.payload(0,0) -m reg '(?is){_VERSIONED}(?!.*\ntransfer-encoding)'",
        "acl chunked req.fhdr(transfer-encoding) -i chunked",
        "acl coded req.fhdr(transfer-encoding) -m found",
        "tcp-request content set-var(sess.http) bool(1)"
        " if HTTP plain || HTTP versioned chunked || HTTP versioned !coded",
        f"tcp-request content lua.ended if {again} {{ var(sess.http) -m found }} !{{ ssl_fc }}",
        "tcp-request content switch-mode http if { var(sess.http) -m found } !{ var(sess.ended) -m found }",
    ]


def cut() -> list[str]:
    """Lines of the pods' backends: what HAProxy calls a bad request although a pod was chosen for it.

    That is a body that breaks its own form, or is larger than its service takes, or a pod that ends without
    an answer to a caller that has ended its half: the pod's fault. Which of the last shows in the pod's half.
    """
    count = max(len(_body_lines(page)) for page in (pages.BAD_BODY, pages.TOO_LARGE, pages.BAD_ANSWER))
    text = r"\n".join(f"%[lua.cut({number + 1})]" for number in range(count))
    return [
        'http-error status 400 content-type "text/plain; charset=utf-8"'
        f' lf-string "{text}" hdr Cache-Control no-store',
        "http-after-response set-status 413 if { status 400 } { var(txn.too_large) -m found }",
        "http-after-response set-status 502 if { status 400 } { var(txn.unanswered) -m found }",
    ]


def way_around() -> list[str]:
    """Who ended its half with the request: HAProxy 2.6 would take it for gone while it changes to HTTP."""
    return [f"use_backend {ENDED} if {{ var(sess.ended) -m found }}"]


def ended_backend(config: FacadeConfig) -> list[str]:
    """Lines of the backend that leads them to a frontend which is one of HTTP from the beginning."""
    return [f"server inside unix@{ended_socket(config)} send-proxy-v2"]


def ended_socket(config: FacadeConfig) -> Path:
    """Where that frontend listens."""
    return config.runtime_socket.with_name("ended.sock")


def way_out() -> list[str]:
    """Where the rest goes."""
    return [f"use_backend {BACKEND} unless {{ var(sess.http) -m found }}"]


def backend() -> list[str]:
    """Lines of the backend of what cannot be read."""
    say = [
        f"tcp-request content use-service lua.unread-{name} if {{ var(txn.unread) -m str {name} }}"
        for name in _PAGES
    ]
    return ["tcp-request content lua.unread", *say]


def _body_lines(page: pages.Page) -> list[bytes]:
    return page.body.split(b"\n")


def _table(lines: list[bytes]) -> str:
    """A table of Lua."""
    return "{" + ", ".join(_quoted(line) for line in lines) + "}"


def _quoted(text: bytes) -> str:
    """A string of Lua."""
    return '"' + "".join(f"\\{byte:03d}" for byte in text) + '"'
