# SPDX-License-Identifier: Apache-2.0
"""Nodes of a scripted chain over real HTTP: each may lie, lag, hang, or be of another fork or chain."""

import contextlib
import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CHAIN_ID = 31337
TRUE_WORD = "0x" + "11" * 32
REVERT = {"code": 3, "message": "execution reverted", "data": "0x"}


@dataclass
class ScriptedNode:
    """What a node says; a test changes it as it likes."""

    height: int = 100
    chain_id: int = CHAIN_ID
    fork_from: int | None = None
    """Blocks from here on have hashes of their own."""
    answers: dict = field(default_factory=dict)
    """Results by method, in place of what is usual; an exception's place is taken by `error`."""
    errors: dict = field(default_factory=dict)
    later: dict = field(default_factory=dict)
    """Results of the first questions, by method; what is usual comes behind them."""
    lacks_from: int = 10**9
    """It tells of blocks from here on, and does not have them."""
    raw: bytes | None = None
    """In place of all answers."""
    together: threading.Barrier | None = None
    """Requests are answered when so many are here."""
    hangs: bool = False
    asked: list = field(default_factory=list)
    going_on: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def block(self, number):
        if number > self.height or number >= self.lacks_from:
            return None
        side = 7 if self.fork_from is not None and number >= self.fork_from else 0
        return {
            "number": hex(number),
            "hash": "0x" + number.to_bytes(31, "big").hex() + f"{side:02x}",
            "timestamp": hex(1000 + number),
            "baseFeePerGas": "0x7",
            "miner": f"0x{id(self):040x}",
        }

    def result(self, method, params):
        if method == "eth_getBlockByNumber" and method not in self.answers:
            named = params[0]
            return self.block(self.height if named in ("latest", "pending") else int(named, 16))
        usual = {
            "eth_chainId": hex(self.chain_id),
            "eth_blockNumber": hex(self.height),
            "eth_sendRawTransaction": "0x" + "ab" * 32,
            "eth_getBalance": hex(5),
            "eth_getCode": "0x",
            "eth_call": TRUE_WORD,
            "eth_gasPrice": "0xa",
            "eth_getLogs": [],
        }
        return (usual | self.answers).get(method)

    def reply(self, request):
        method, params = request["method"], request["params"]
        self.asked.append((method, params))
        told = {"jsonrpc": "2.0", "id": request["id"]}
        if self.later.get(method):
            return told | {"result": self.later[method].pop(0)}
        if method in self.errors:
            return told | {"error": self.errors[method]}
        return told | {"result": self.result(method, params)}


@contextmanager
def served(*nodes):
    """Each at a port of its own; those that hang are let go at the end."""
    servers = []
    try:
        for node in nodes:
            server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(node))
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
            node.url = f"http://127.0.0.1:{server.server_address[1]}"
            servers.append(server)
        yield nodes
    finally:
        for node in nodes:
            node.going_on.set()
        for server in servers:
            server.shutdown()
            server.server_close()


def _handler(node):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if node.hangs:
                node.going_on.wait(30)
                self.close_connection = True
                return
            if node.together is not None:
                node.together.wait(30)
            many = isinstance(body, list)
            told = [node.reply(one) for one in body] if many else node.reply(body)
            data = node.raw or json.dumps(told).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def handle(self):
            with contextlib.suppress(ConnectionError):  # a client that was closed
                super().handle()

        def log_message(self, *_):
            pass

    return Handler
