# SPDX-License-Identifier: Apache-2.0
"""A JSON-RPC proxy in front of a real node that fails as nodes do: on demand, or at random."""

import json
import random
import socket
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

HUGE = 1024 * 1024

FAULTS = (
    "drop-before",
    "drop-after",
    "late",
    "too-many-requests",
    "limit-exceeded",
    "internal",
    "html",
    "truncated",
    "huge",
    "null",
    "another-id",
)
"""`after` and `late` have reached the node; so may the others: a caller cannot know."""

FORWARDED = ("drop-after", "late", "internal", "html", "truncated", "huge", "null", "another-id")


def _error(request, code, message):
    body = {"jsonrpc": "2.0", "id": request["id"], "error": {"code": code, "message": message}}
    return json.dumps(body).encode()


def _result(number, result):
    return json.dumps({"jsonrpc": "2.0", "id": number, "result": result}).encode()


class FaultyProxy:
    """`plan` holds (method, fault) pairs: each hits the next request of that method, in order.

    `rate` of the other requests fail at random, by *seed*. `refuse(request)` may answer an error
    (code, message) by rule. `calls` lists the methods that came, `hit` the faults that were done.
    Batches are not served.
    """

    def __init__(self, target, late_s=0.5):
        self.target = target
        self.late_s = late_s
        self.plan = []
        self.rate = 0.0
        self.random = random.Random(0)
        self.refuse = lambda request: None
        self.calls = []
        self.hit = []
        self.url = ""
        self._client = httpx.Client(timeout=30)
        self._guard = threading.Lock()

    def fail(self, method, *faults):
        self.plan += [(method, fault) for fault in faults]

    def fault_for(self, method):
        with self._guard:
            self.calls.append(method)
            for place, (wanted, fault) in enumerate(self.plan):
                if wanted == method:
                    del self.plan[place]
                    self.hit.append(fault)
                    return fault
            if self.random.random() < self.rate:
                self.hit.append(self.random.choice(FAULTS))
                return self.hit[-1]
        return None

    def answer(self, request):
        """(status, body, announced length), or None to drop the connection."""
        fault = self.fault_for(request["method"])
        refused = self.refuse(request)
        if refused is not None:
            return 200, _error(request, *refused), None
        real = b""
        if fault is None or fault in FORWARDED:
            real = self._client.post(self.target, json=request).content
        if fault == "late":
            time.sleep(self.late_s)
        return _ANSWERS[fault](request, real)


_ANSWERS = {
    None: lambda request, real: (200, real, None),
    "late": lambda request, real: (200, real, None),
    "drop-before": lambda request, real: None,
    "drop-after": lambda request, real: None,
    "too-many-requests": lambda request, real: (429, _error(request, -32005, "too many requests"), None),
    "limit-exceeded": lambda request, real: (200, _error(request, -32005, "limit exceeded"), None),
    "internal": lambda request, real: (200, _error(request, -32603, "internal error"), None),
    "html": lambda request, real: (502, b"<html><body>bad gateway</body></html>", None),
    "truncated": lambda request, real: (200, real[: len(real) // 2], len(real)),
    "huge": lambda request, real: (200, b'{"jsonrpc": "2.0", "id": 0, "result": "0x' + b"0" * HUGE, None),
    "null": lambda request, real: (200, _result(request["id"], None), None),
    "another-id": lambda request, real: (200, _result(10**9, json.loads(real).get("result")), None),
}


@contextmanager
def faulty_proxy(target, **options):
    proxy = FaultyProxy(target, **options)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            request = json.loads(self.rfile.read(int(self.headers["content-length"])))
            told = proxy.answer(request) if isinstance(request, dict) else (200, b"{}", None)
            if told is None:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            status, body, announced = told
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body) if announced is None else announced))
            self.end_headers()
            try:
                self.wfile.write(body)
            except OSError:
                self.close_connection = True  # the client had enough
            if announced is not None:
                self.close_connection = True

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_):
            pass  # a client that hangs up is what is tested here

    server = Server(("127.0.0.1", 0), Handler)
    proxy.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        proxy._client.close()
