# SPDX-License-Identifier: Apache-2.0
"""An authority that answers what a test wants: real https, real cuts. It believes every signature."""

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from trustedpods.provider.facade.certificates import Authority, certificate_pem, utc

Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class BrokenAuthority:
    """`answers`, by how a path begins, replace the good ones; `asked` has all paths; `base` is its URL."""

    base: str
    root: Path
    names: tuple[str, ...] = ("k1.acme.test",)
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def directory(self) -> str:
        return f"{self.base}/directory"

    def good(self, path: str) -> object:
        """What a good authority says there."""
        challenges = [
            {
                "type": kind,
                "url": f"{self.base}/ready",
                "status": "pending",
                "token": "dG9rZW4tMDEyMzQ1Njc4OQ",
            }
            for kind in ("dns-01", "http-01")
        ]
        uses = ("newNonce", "newAccount", "newOrder", "revokeCert", "renewalInfo")
        order = {
            "status": "pending",
            "identifiers": [{"type": "dns", "value": name} for name in self.names],
            "authorizations": [f"{self.base}/proof"],
            "finalize": f"{self.base}/finalize",
        }
        pages: dict[str, object] = {
            "/directory": {use: f"{self.base}/{use}" for use in uses},
            "/newAccount": {"status": "valid"},
            "/newOrder": order,
            "/order": order,
            "/proof": {
                "status": "pending",
                "identifier": {"type": "dns", "value": self.names[0].removeprefix("*.")},
                "challenges": challenges,
            },
            "/ready": challenges[0],
        }
        return pages.get(path, {})

    def well(self, handler: BaseHTTPRequestHandler) -> None:
        """The good answer."""
        headers = {
            "/newOrder": {"Location": f"{self.base}/order"},
            "/newAccount": {"Location": f"{self.base}/account"},
            "/ready": {"Link": f'<{self.base}/proof>;rel="up"'},
        }
        says(self.good(handler.path), **headers.get(handler.path, {}))(handler)


def says(value: object, **headers: str) -> Answer:
    """An answer of this JSON."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        _send(handler, json.dumps(value).encode(), headers)

    return answer


def cuts(handler: BaseHTTPRequestHandler) -> None:
    """An answer that ends in the middle of its body."""
    _head(handler, {"Content-Length": "4000"})
    handler.wfile.write(b'{"status": "pen')
    handler.close_connection = True


def damages(handler: BaseHTTPRequestHandler) -> None:
    """An answer that says it is packed, and is not."""
    _send(handler, b"this is no gzip", {"Content-Encoding": "gzip"})


def leads_to(url: str) -> Answer:
    """A redirect."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        _send(handler, b"", {"Location": url}, 302)

    return answer


def _send(handler: BaseHTTPRequestHandler, body: bytes, headers: dict[str, str], code: int = 200) -> None:
    _head(handler, {"Content-Length": str(len(body)), **headers}, code)
    if handler.command != "HEAD":
        handler.wfile.write(body)


def _head(handler: BaseHTTPRequestHandler, headers: dict[str, str], code: int = 200) -> None:
    handler.send_response(code)
    for name, value in {"Content-Type": "application/json", "Replay-Nonce": "bm9uY2U", **headers}.items():
        handler.send_header(name, value)
    handler.end_headers()


@contextmanager
def broken_authority(home: Path) -> Iterator[BrokenAuthority]:
    """Serves until the end of the block."""
    root = Authority.make("broken", utc(time.time()))
    served = root.issue(["localhost"], ec.generate_private_key(ec.SECP256R1()), utc(time.time()))
    (home / "broken-root.pem").write_bytes(certificate_pem(root.certificate))
    (home / "broken.pem").write_bytes(served.pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(home / "broken.pem")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            here.asked.append(self.path)
            wanted = (answer for path, answer in here.answers.items() if self.path.startswith(path))
            next(wanted, here.well)(self)

        do_GET = do_POST = do_HEAD = _any

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True  # a client may keep its connection
    server.socket = context.wrap_socket(server.socket, server_side=True)
    here = BrokenAuthority(f"https://localhost:{server.server_address[1]}", home / "broken-root.pem")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield here
    finally:
        here.over.set()
        server.shutdown()
        thread.join()
        server.server_close()
