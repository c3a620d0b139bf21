# SPDX-License-Identifier: Apache-2.0
"""WebSocket messages a second, echoed: batches of small frames on a few connections.

python -m tests.bench.parts.ws_load ADDRESS:PORT HOST [--seconds 5] [--connections 4]
"""

import argparse
import os
import socket
import threading
import time

BATCH = 100
PAYLOAD = 32
_HEADER = 2
_MASK = 4


def frame() -> bytes:
    """A masked binary frame (RFC 6455)."""
    mask = os.urandom(_MASK)
    body = bytes(byte ^ mask[index % _MASK] for index, byte in enumerate(b"x" * PAYLOAD))
    return bytes([0x82, 0x80 | PAYLOAD]) + mask + body


def opened(address: tuple[str, int], host: str) -> socket.socket:
    """A connection after its upgrade."""
    sock = socket.create_connection(address, timeout=30)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    lines = [
        "GET /ws HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ]
    sock.sendall("\r\n".join([*lines, "", ""]).encode())
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += sock.recv(1)
    assert answer.startswith(b"HTTP/1.1 101"), answer
    return sock


def talk(sock: socket.socket, end: float) -> int:
    """Messages echoed until *end*."""
    batch, count = frame() * BATCH, 0
    wanted = BATCH * (_HEADER + PAYLOAD)
    while time.monotonic() < end:
        sock.sendall(batch)
        got = 0
        while got < wanted:
            more = len(sock.recv(wanted - got))
            assert more, "closed"
            got += more
        count += BATCH
    return count


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("address")
    arguments.add_argument("host")
    arguments.add_argument("--seconds", type=float, default=5)
    arguments.add_argument("--connections", type=int, default=4)
    options = arguments.parse_args()
    host, _, port = options.address.rpartition(":")
    socks = [opened((host, int(port)), options.host) for _ in range(options.connections)]
    counts = [0] * len(socks)
    end = time.monotonic() + options.seconds

    def one(index: int) -> None:
        counts[index] = talk(socks[index], end)

    threads = [threading.Thread(target=one, args=(index,)) for index in range(len(socks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(sum(counts) / options.seconds)


if __name__ == "__main__":
    main()
