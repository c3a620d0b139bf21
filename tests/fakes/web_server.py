# SPDX-License-Identifier: Apache-2.0
"""An HTTP server that answers what a test tells it, byte for byte."""

import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from trio_typing import TaskStatus

Answer = bytes | Callable[[trio.abc.Stream], Awaitable[None]]


def answer(status: int, body: object, content_type: str = "application/json") -> bytes:
    """A whole answer that closes its connection; *body* is sent as JSON unless it is bytes."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"HTTP/1.1 {status} X\r\ncontent-type: {content_type}\r\ncontent-length: {len(data)}\r\n"
    return head.encode() + b"connection: close\r\n\r\n" + data


def status_object(code: int, reason: str, message: str, **details: object) -> bytes:
    """An error as the Kubernetes API answers it."""
    body = {"kind": "Status", "code": code, "reason": reason, "message": message, "details": details}
    return answer(code, body)


@contextmanager
def in_threads(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """The URL of a server that answers as *handler* does, for what blocks and for other processes."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class WebServer:
    """Answers requests one after another with `answers`; the last is kept for all that follow."""

    answers: list[Answer]
    requests: list[str] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, *, task_status: "TaskStatus[None]" = trio.TASK_STATUS_IGNORED) -> None:
        """Run in a nursery; `port` is known once it has started."""
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.port = listener.socket.getsockname()[1]
        await trio.serve_listeners(self._handle, [listener], task_status=task_status)

    async def _handle(self, stream: trio.SocketStream) -> None:
        async with stream:
            head = b""
            while b"\r\n\r\n" not in head:
                piece = await stream.receive_some(65536)
                if not piece:
                    return
                head += piece
            self.requests.append(head.decode())
            reply = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            try:
                if isinstance(reply, bytes):
                    await stream.send_all(reply)
                else:
                    await reply(stream)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return
