# SPDX-License-Identifier: Apache-2.0
"""A small registry: the pulling half of the distribution API over real HTTP, with manners of the big ones.

It asks for tokens, leads blobs to another host, serves ranges, breaks off and says that it is too busy.
"""

import base64
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

from tests.fakes.images.oci_images import INDEX, MANIFEST, ImageFiles, digest

TOKEN = "a-token-of-the-fake"
PATH = re.compile(r"/v2/(?P<name>.+)/(?P<kind>manifests|blobs|referrers)/(?P<asked>[^/]+)")


@dataclass
class Seen:
    """A request as it came."""

    path: str
    authorization: str | None
    range: str | None
    method: str = "GET"
    form: str = ""


@dataclass
class FakeRegistry:
    """Documents and blobs by digest, tags by name; what it does wrong is set by a test."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    tags: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    referrers: dict[str, bytes] = field(default_factory=dict)
    """Indexes of what refers to a digest."""
    no_referrers: int = 404
    """The answer to who asks for others."""
    asks_for: str = ""
    """`bearer` or `basic`; nothing: it serves anybody."""
    user: str = ""
    """`NAME:PASSWORD` of the only one who gets in; nothing: anybody gets a token."""
    identity_token: str = ""
    realm: str | None = None
    redirect: str | None = None
    """Where blobs really lie: an address before their digest."""
    ranges: bool = True
    cut_after: list[int] = field(default_factory=list)
    """Blobs end after so many bytes, one number for each answer that still is to be cut."""
    statuses: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    """Answers before any other."""
    change: Callable[[bytes], bytes] = bytes
    """What is done to a blob on its way."""
    seen: list[Seen] = field(default_factory=list)
    port: int = 0

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def put(self, files: ImageFiles, tag: str = "1") -> str:
        """An image under a tag; returns its manifest's digest."""
        for name, data in files.files.items():
            if name.startswith("blobs/"):
                self.blobs[digest(data)] = data
        return self.document(files.manifest, MANIFEST, tag)

    def document(self, data: bytes, kind: str, tag: str) -> str:
        self.blobs[digest(data)] = data
        self.types[digest(data)] = kind
        self.tags[tag] = (digest(data), data)
        return digest(data)

    def index(self, entries: list[object], tag: str = "1") -> str:
        tree = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
        return self.document(json.dumps(tree).encode(), INDEX, tag)

    def blob_requests(self) -> list[Seen]:
        return [one for one in self.seen if "/blobs/" in one.path]


@contextmanager
def serving(registry: FakeRegistry) -> Iterator[FakeRegistry]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            _answer(registry, self, "")

        def do_POST(self) -> None:
            _answer(registry, self, self.rfile.read(int(self.headers["content-length"])).decode())

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    registry.port = server.server_address[1]
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _answer(registry: FakeRegistry, request: BaseHTTPRequestHandler, form: str) -> None:
    sent = request.headers.get("authorization")
    seen = Seen(request.path, sent, request.headers.get("range"), request.command, form)
    registry.seen.append(seen)
    if urlsplit(request.path).path == "/token":
        _token(registry, request, seen)
    elif registry.statuses:
        _reply(request, *registry.statuses.pop(0))
    elif registry.asks_for and not _is_let_in(registry, sent) and not request.path.startswith("/elsewhere/"):
        realm = registry.realm or f"http://{registry.host}/token"
        told = f'Bearer realm="{realm}",service="the fake",scope="repository:x:pull,push"'
        _reply(
            request, 401, {"www-authenticate": told if registry.asks_for == "bearer" else 'Basic realm="x"'}
        )
    else:
        _content(registry, request, seen)


def _is_let_in(registry: FakeRegistry, sent: str | None) -> bool:
    if registry.asks_for == "bearer":
        return sent == f"Bearer {TOKEN}"
    return sent == "Basic " + base64.b64encode(registry.user.encode()).decode()


def _token(registry: FakeRegistry, request: BaseHTTPRequestHandler, seen: Seen) -> None:
    wanted = "Basic " + base64.b64encode(registry.user.encode()).decode()
    traded = parse_qs(seen.form).get("refresh_token") == [registry.identity_token]
    if (registry.user and seen.authorization != wanted) or (registry.identity_token and not traded):
        _reply(request, 401, {})
    else:
        _reply(request, 200, {}, json.dumps({"token": TOKEN}).encode())


def _content(registry: FakeRegistry, request: BaseHTTPRequestHandler, seen: Seen) -> None:
    path = urlsplit(request.path).path
    found = PATH.fullmatch(path)
    asked = path.rpartition("/")[2]
    if found and found["kind"] == "manifests":
        name, data = registry.tags.get(asked, (asked, registry.blobs.get(asked)))
        if data is None:
            _reply(request, 404, {}, b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}')
        else:
            _reply(request, 200, {"content-type": registry.types.get(name, "text/plain")}, data)
    elif found and found["kind"] == "referrers" and asked in registry.referrers:
        _reply(request, 200, {"content-type": INDEX}, registry.referrers[asked])
    elif found and found["kind"] == "referrers":
        _reply(request, registry.no_referrers, {"content-type": "text/html"}, b"<p>none")
    elif asked not in registry.blobs:
        _reply(request, 404, {})
    elif found and registry.redirect is not None:
        _reply(request, 307, {"location": registry.redirect + asked})
    else:
        _blob(registry, request, registry.change(registry.blobs[asked]), seen.range)


def _blob(registry: FakeRegistry, request: BaseHTTPRequestHandler, data: bytes, wanted: str | None) -> None:
    status, headers, start = 200, {}, 0
    if wanted and registry.ranges:
        start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        status, headers = 206, {"content-range": f"bytes {start}-{len(data) - 1}/{len(data)}"}
    cut = registry.cut_after.pop(0) if registry.cut_after else None
    _reply(request, status, headers, data[start:], cut)


def _reply(
    request: BaseHTTPRequestHandler,
    status: int,
    headers: dict[str, str],
    body: bytes = b"",
    cut: int | None = None,
) -> None:
    request.send_response(status)
    for name, value in headers.items():
        request.send_header(name, value)
    request.send_header("content-length", str(len(body)))
    request.end_headers()
    request.wfile.write(body if cut is None else body[:cut])
    if cut is not None:
        request.close_connection = True
