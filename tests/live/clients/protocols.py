# SPDX-License-Identifier: Apache-2.0
"""Clients of the image `echo`, in every protocol that the facade carries. All by 127.0.0.1 and host."""

import hashlib
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import grpc
import httpx
from websockets.sync.client import ClientConnection, connect

LIMIT_S = 100.0
ONE, MANY = "/echo.Echo/One", "/echo.Echo/Many"


def upload(url: str, size: int, path: str = "/count", limit_s: float = LIMIT_S) -> int:
    """POST *size* bytes; they must arrive whole. Returns the status."""
    parts = urlsplit(url)
    body = b"0123456789abcdef" * (size // 16 + 1)
    body = body[:size]
    with httpx.Client(timeout=limit_s, trust_env=False) as client:
        answer = client.post(
            f"http://127.0.0.1:{parts.port}{path}", content=body, headers={"Host": parts.netloc}
        )
    if answer.status_code == 200:
        assert answer.text == f"{size} {hashlib.sha256(body).hexdigest()}"
    return answer.status_code


@contextmanager
def websocket(
    url: str, path: str = "/ws", limit_s: float = LIMIT_S, at: str = "127.0.0.1"
) -> Iterator[ClientConnection]:
    """An open WebSocket that echoes, by the facade *at*."""
    parts = urlsplit(url)
    sock = socket.create_connection((at, parts.port or 80), timeout=limit_s)
    with connect(
        f"ws://{parts.netloc}{path}",
        sock=sock,
        proxy=None,
        compression=None,
        open_timeout=limit_s,
        ping_interval=None,
    ) as made:
        yield made


@contextmanager
def channel(url: str, trusted: bytes | None = None) -> Iterator[grpc.Channel]:
    """A gRPC channel; with TLS if a root that is *trusted* (PEM) is given."""
    parts = urlsplit(url)
    target, host = f"127.0.0.1:{parts.port}", parts.hostname or ""
    options = [("grpc.default_authority", host), ("grpc.enable_retries", 0)]
    if trusted is None:
        with grpc.insecure_channel(target, options=options) as made:
            yield made
        return
    options.append(("grpc.ssl_target_name_override", host))
    with grpc.secure_channel(target, grpc.ssl_channel_credentials(trusted), options=options) as made:
        yield made


def call(made: grpc.Channel, message: bytes, limit_s: float = LIMIT_S) -> bytes:
    """A unary call that echoes."""
    answer: bytes = made.unary_unary(ONE)(message, timeout=limit_s)
    return answer


def tcp(url: str, limit_s: float = LIMIT_S) -> socket.socket:
    """A connection to a service of tcp."""
    return socket.create_connection(("127.0.0.1", urlsplit(url).port or 0), timeout=limit_s)


def echoed(sock: socket.socket, data: bytes) -> bytes:
    """What comes back for *data*, which must fit into the sockets' buffers."""
    sock.sendall(data)
    back = b""
    while len(back) < len(data):
        more = sock.recv(65536)
        if not more:
            break
        back += more
    return back


def tls_get(
    port: int, host: str, context: ssl.SSLContext, path: str = "/", limit_s: float = LIMIT_S
) -> tuple[int, bytes]:
    """GET over TLS; the status, and the certificate's digest."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=limit_s) as plain,
        context.wrap_socket(plain, server_hostname=host) as secure,
    ):
        certificate = secure.getpeercert(binary_form=True) or b""
        secure.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while more := secure.recv(65536):
            answer += more
    return int(answer.split()[1]), hashlib.sha256(certificate).digest()
