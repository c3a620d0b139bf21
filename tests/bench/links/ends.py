# SPDX-License-Identifier: Apache-2.0
"""Both ends of a measured connection, each a program of its own that runs inside a network namespace.

    python ends.py sink PORT
    python ends.py send ADDRESS PORT MIB      what it took, as JSON: seconds, and its own CPU
    python ends.py ask ADDRESS PORT COUNT     microseconds of each question and answer, as JSON

It imports nothing of ours, so that it starts at once.
"""

import json
import socket
import sys
import threading
import time

MIB = 1 << 20
LIMIT_S = 120.0
BULK, ASK = b"b", b"a"
QUESTION = b"q" * 64


def sink(port: int) -> None:
    """Read what is sent and say so at its end, or answer each question; for ever."""
    with socket.create_server(("0.0.0.0", port)) as listener:
        print("ready", flush=True)
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_serve, args=(connection,), daemon=True).start()


def _serve(connection: socket.socket) -> None:
    with connection:
        connection.settimeout(LIMIT_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        bulk = connection.recv(1) == BULK
        room = bytearray(MIB)
        while (size := connection.recv_into(room)) > 0:
            if not bulk:
                connection.sendall(room[:size])
        if bulk:
            connection.sendall(b"done")


def send(address: str, port: int, mib: int) -> dict[str, float]:
    """Send so much over one connection, until the far side has all of it."""
    with socket.create_connection((address, port), LIMIT_S) as connection:
        began, data = time.perf_counter(), bytes(MIB)
        connection.sendall(BULK)
        for _ in range(mib):
            connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(4) == b"done"
        return {"seconds": time.perf_counter() - began, "cpu": time.process_time()}


def ask(address: str, port: int, count: int) -> list[float]:
    """Ask one after another over one connection."""
    took = []
    with socket.create_connection((address, port), LIMIT_S) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(ASK)
        for _ in range(count):
            began = time.perf_counter()
            connection.sendall(QUESTION)
            left = len(QUESTION)
            while left:
                left -= len(connection.recv(left))
            took.append((time.perf_counter() - began) * 1e6)
    return took


if __name__ == "__main__":
    verb, *words = sys.argv[1:]
    if verb == "sink":
        sink(int(words[0]))
    else:
        found = (send if verb == "send" else ask)(words[0], int(words[1]), int(words[2]))
        print(json.dumps(found))
