# SPDX-License-Identifier: Apache-2.0
"""What a request may say: its size, its host, its target, and what it says about its sender. Pure.

Rules of the outer frontend, in the order in which they run, before a slot is looked for.
"""

from pathlib import Path

from trustedpods.provider.facade import pages
from trustedpods.provider.facade.haproxy.config import FacadeConfig, answer
from trustedpods.provider.facade.haproxy.maps import SlotMap

_LABEL = r"(?!-)[a-z0-9-]{1,63}(?<!-)"
_PORT = r"(?:[0-5]\d{4}|6[0-4]\d{3}|65[0-4]\d\d|655[0-2]\d|6553[0-5]|\d{0,4})"
HOST = rf"^(?=[^:]{{1,254}}(?::|$))(?:{_LABEL}\.)*{_LABEL}\.?(?::{_PORT})?$"
"""One DNS name (RFC 1123, 2.1; 253 characters and the root's dot), and perhaps a port (RFC 9110, 7.2)."""

CLAIMS = (
    # Forwarding: Forwarded (RFC 7239), X-Forwarded-*, X-Original-Forwarded-For, X-Forward-*.
    "forward",
    # An address: X-Real-IP, True-Client-IP, CF-Connecting-IP, X-Azure-ClientIP, Remote-Addr.
    "(?:^|[-_.]|client)(?:ip|addr|address)$",
    # What was asked for, over which TLS, by whom, as a proxy before an application tells it.
    "^(?:x[-_.])?(?:original|rewrite|real|remote|ssl|tls|proxy|proxyuser|authenticated|webauth)[-_.]",
    "^(?:x[-_.])?(?:auth[-_.]request|client[-_.]?(?:cert|verify|dn))",
    "^x[-_.](?:url[-_.]scheme|scheme|https?|protocol|proto|host|port|server|url|uri)$",
    "^(?:proxy|front[-_.]end[-_.]https)$",
    # The families of networks that stand before applications.
    "^(?:x[-_.])?(?:cf|cdn(?!.loop)|envoy|amzn|arr|azure|appengine|fastly|fly|vercel|nf|akamai|tailscale)[-_.]",
    "^x[-_.](?:ms[-_.]client[-_.]principal|goog[-_.](?:iap|authenticated))",
)
"""A header is such a claim where one of these is found in its name, whatever the case of its letters.

Not a list of names: every proxy has its own, and applications believe those that their framework knows.
`_` and `.` stand for `-`, as they do where headers become variables (CGI, WSGI).
A program's own words are none: Cookie, Authorization, Accept*, Content-*, X-Api-Key, Client-Id,
X-Requested-With, X-Amz-*, trace ids.
"""

HOP = r"^(?:keep.alive|http2.settings)$"
"""Words of one connection, which the next does not get (RFC 9110, 7.6.1)."""

KNOWN = {
    "X-Forwarded-For": "from",
    "X-Real-IP": "from",
    "X-Forwarded-Proto": "proto",
    "X-Forwarded-Port": "port",
}
"""The facade's own words about a client, and their variables; X-Forwarded-Host is the header's."""

_SIGNS = 4
"""Bytes of a line beside name and value; HAProxy leaves them out where it says what is in a buffer."""

_FRAMES = 1024
"""More than what a start line takes in a buffer beside its text."""

_LUA = """\
-- SPDX-License-Identifier: Apache-2.0
-- Rare requests that rules alone cannot judge.

-- Keeps close, keep-alive and upgrade of Connection, and deletes the headers that its other words name.
local KEPT = {close = true, ["keep-alive"] = true, upgrade = true}
local FRAMING = {host = true, ["content-length"] = true, ["transfer-encoding"] = true, upgrade = true}

core.register_action("connection", {"http-req"}, function(txn)
  local kept = {}
  for _, value in pairs(txn.http:req_get_headers()["connection"] or {}) do
    for word in value:gmatch("[^,%s]+") do
      word = word:lower()
      if KEPT[word] then
        kept[#kept + 1] = word
      elseif not FRAMING[word] then
        txn.http:req_del_header(word)
      end
    end
  end
  txn.http:req_del_header("connection")
  if #kept > 0 then txn.http:req_add_header("connection", table.concat(kept, ", ")) end
end)

-- How servers read a path: as it is, decoded once, or twice; slashes of all kinds alike and merged,
-- parameters of segments left out. There is no reading of one that climbs or has no meaning.
local function decoded(path)
  return (path:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

local function plain(path)
  path = path:gsub("\\\\", "/")
  for _, meaningless in ipairs({"[%c\\xc0\\xc1\\xf5-\\xff]", "\\xe0[\\x80-\\x9f]", "\\xf0[\\x80-\\x8f]"}) do
    if path:find(meaningless) then return nil end
  end
  local kept = {}
  for segment in path:gmatch("[^/]+") do
    segment = segment:gsub(";.*", ""):gsub("^ +", ""):gsub(" +$", "")
    if segment:find("^%.%.?$") then return nil end
    if segment ~= "" then kept[#kept + 1] = segment end
  end
  return "/" .. table.concat(kept, "/")
end

local routes = Map.new("HOST_MAP", Map._beg)

local function clear(txn)
  local host, path, slot = txn:get_var("txn.host"), txn:get_var("txn.path"), txn:get_var("txn.slot")
  for at in path:gmatch("()%%") do
    if not path:find("^%x%x", at + 1) then return false end
  end
  local once = decoded(path)
  for _, reading in ipairs({path, once, decoded(once)}) do
    local read = plain(reading)
    if not read or routes:lookup(host .. read .. "/") ~= slot then return false end
  end
  return true
end

core.register_action("readings", {"http-req"}, function(txn)
  if not clear(txn) then txn:set_var("txn.slot", "BAD_TARGET") end
end)

-- A target that is no path: what OPTIONS asks of the whole server is fine.
core.register_action("target", {"http-req"}, function(txn)
  local method = txn.f:method()
  if method == "CONNECT" then
    txn:set_var("txn.slot", "NOT_A_PROXY")
  elseif method ~= "OPTIONS" then
    txn:set_var("txn.slot", "BAD_TARGET")
  end
end)
"""


def lua(config: FacadeConfig) -> str:
    """The actions."""
    text = _LUA.replace("HOST_MAP", str(config.map_file))
    return text.replace("BAD_TARGET", _refused(pages.BAD_TARGET)).replace(
        "NOT_A_PROXY", _refused(pages.NOT_A_PROXY)
    )


def lua_path(config: FacadeConfig) -> Path:
    """Where the actions lie."""
    return config.pages_dir / "requests.lua"


def sizes(config: FacadeConfig, *, first_tcp: bool) -> list[str]:
    """Over the bounds there is a page that says so; `unread` has those that are too large to be read.

    What is in the buffer is asked first: a number, while the headers' length costs a copy of them. HAProxy
    has that number only for a frontend that is one of tcp at first.
    """
    most = pages.HEAD_BYTES
    near = most - _SIGNS * pages.HEAD_LINES - _FRAMES
    asked, said = [f"{{ {which}.len gt {near} }} " if first_tcp else "" for which in ("req", "res")]
    return [
        f"http-request {answer(config, pages.TARGET_TOO_LONG)} if {asked}{{ url,length gt {most} }}",
        f"http-request {answer(config, pages.HEADERS_TOO_LARGE)} if {asked}{{ req.hdrs,length gt {most} }}",
        f"http-response {answer(config, pages.ANSWER_TOO_LARGE)} if {said}{{ res.hdrs,length gt {most} }}",
    ]


def challenges(config: FacadeConfig) -> list[str]:
    """Answers to an authority that asks whether a name is the provider's; every path has a secret of its own.

    Only what is in the map is answered: a pod may have challenges of its own at its hosts.
    """
    if not config.challenges:
        return []
    text = f"path,map_str({config.challenge_map})"
    return [
        f'http-request return status 200 content-type "text/plain" lf-string "%[{text}]"'
        f" if {{ path -m beg /.well-known/acme-challenge/ }} {{ {text} -m found }}"
    ]


def host_and_target(config: FacadeConfig) -> list[str]:
    """The slot: of the longest entry of the host map that host and path begin with; both end with a `/`.

    Where pods share the host by paths, all ways in which a server could read the path lead to one slot. What
    has no such target gets a backend that says so: a rule for each page would cost every request.
    """
    return [
        f"http-request {answer(config, pages.BAD_HOST)} unless {{ req.fhdr(host) -m reg -i '{HOST}' }}",
        "http-request set-var(txn.host) req.fhdr(host),lower,field(1,:),rtrim(.)",
        "http-request set-var(txn.path) path",
        # An absolute target is a proxy's; HAProxy has compared its host with the header's.
        "http-request set-var(txn.origin) pathq if !{ url -m beg / } { fc_http_major 1 } { path -m beg / }",
        f"http-request set-var(txn.slot) var(txn.host),concat(,txn.path,/),map_beg({config.map_file})",
        r"http-request lua.readings if { path -m reg '[%\\;]|//|/\.' }"
        f" {{ var(txn.host),map_str_int({SlotMap.SHARED.beside(config.map_file)}) -m found }}",
        "http-request lua.target unless { var(txn.path) -m beg / }",
    ]


def refusals(config: FacadeConfig) -> dict[str, list[str]]:
    """The backends that say what is wrong with a target: names and lines."""
    return {
        _refused(page): [f"http-request {answer(config, page)}"]
        for page in (pages.BAD_TARGET, pages.NOT_A_PROXY)
    }


def _refused(page: pages.Page) -> str:
    return f"refused-{page.name}"


def claims_deleted() -> list[str]:
    """What a client says about itself is not passed on."""
    return [
        "http-request lua.connection if { req.fhdr(connection) -m found }"
        " !{ req.fhdr(connection) -m str -i close keep-alive upgrade }",
        f"http-request del-header '(?i){'|'.join((*CLAIMS, HOP))}' -m reg",
    ]


def known_of_connection(port: str) -> list[str]:
    """Rules of the outer frontend, once for each connection.

    The *port* is the name of the socket that listens; asking the kernel for it costs two system calls.
    """
    return [
        "tcp-request session set-var(sess.from) src,concat()",
        f"tcp-request session set-var(sess.port) {port}",
        "tcp-request session set-var(sess.proto) ssl_fc,iif(https,http)",
    ]


def known_here() -> list[str]:
    """What is said about a client instead: in the backends, as the outer frontend begins as one of tcp."""
    return [
        *[f"http-request add-header {name} %[var(sess.{known})]" for name, known in KNOWN.items()],
        "http-request add-header X-Forwarded-Host %[req.fhdr(host)]",
        "http-request set-uri %[var(txn.origin)] if { var(txn.origin) -m found }",
    ]


def known_before() -> list[str]:
    """Rules of the inner frontend (`bodies`): the outer one's words, which the pod's backend says again."""
    return [
        *[f"http-request set-var(sess.{known}) req.fhdr({name})" for name, known in KNOWN.items()],
        "http-request del-header '(?i)^(?:x-real-ip|x-forwarded-.*)$' -m reg",
    ]
