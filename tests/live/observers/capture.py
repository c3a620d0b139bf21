# SPDX-License-Identifier: Apache-2.0
"""What really crossed a wire: tcpdump on an interface, and a search for markers in its streams."""

import base64
import secrets
import socket
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

import dpkt

LIMIT_S = 60
DISCARD_PORT = 9
MARKER_BYTES = 36  # a multiple of 3 and of 4, so that encodings of it stand inside those of more


@dataclass(frozen=True)
class Marker:
    """A random word that nothing else contains, and the forms in which it could leak."""

    text: str

    @classmethod
    def make(cls, where: str) -> "Marker":
        """A marker that names where it was put."""
        return cls(f"marker-{where}-".ljust(12, "x") + secrets.token_hex(MARKER_BYTES // 2))

    @property
    def forms(self) -> dict[str, bytes]:
        """Raw, hexadecimal, and base64 at each of the three alignments."""
        raw = self.text.encode()
        found = {"raw": raw, "hex": raw.hex().encode(), "HEX": raw.hex().upper().encode()}
        for shift in range(3):
            encoded = base64.b64encode(b"\0" * shift + raw)
            found[f"base64+{shift}"] = encoded[4 * bool(shift) : -4].rstrip(b"=")
        return found

    def found_in(self, data: bytes) -> list[str]:
        """Which forms occur in *data*."""
        return [name for name, form in self.forms.items() if form in data]


@dataclass(frozen=True)
class Flow:
    """One direction of one TCP connection, in the order of its sequence numbers."""

    source: tuple[bytes, int]
    target: tuple[bytes, int]
    data: bytes


@contextmanager
def capture(
    interface: str, path: Path, through: str = "127.0.0.1", within: Path | None = None
) -> Iterator[Path]:
    """Record TCP on *interface* (an own one, or loopback) into *path* while the block runs.

    *within* a network namespace, a path, it is everything on an interface of that.

    *through* is an address reached by that interface: a last datagram to it marks the end, so that
    nothing sent inside the block is still on its way into the file when this returns.
    """
    there = [] if within is None else ["nsenter", f"--net={within}"]
    command = [*there, "tcpdump", "-i", interface, "--immediate-mode", "-U", "-s", "0", "-B", "65536"]
    expression = [f"tcp or (udp and dst port {DISCARD_PORT})"] if within is None else []
    process = subprocess.Popen([*command, "-w", str(path), *expression], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if "listening on" in line:
                break
        else:
            raise RuntimeError(f"tcpdump did not start on {interface}")
        yield path
        _await_end(path, through)
    finally:
        process.terminate()
        process.communicate(timeout=LIMIT_S)


def _await_end(path: Path, through: str) -> None:
    end = secrets.token_bytes(32)
    deadline = monotonic() + LIMIT_S
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram:
        while end not in path.read_bytes():
            datagram.sendto(end, (through, DISCARD_PORT))
            if monotonic() > deadline:
                raise TimeoutError(f"the end mark did not reach the capture through {through}")
            sleep(0.02)


def flows(path: Path) -> list[Flow]:
    """Every direction of every TCP connection in a capture, reassembled."""
    pieces: dict[tuple[tuple[bytes, int], tuple[bytes, int]], dict[int, bytes]] = defaultdict(dict)
    with path.open("rb") as file:
        for _, frame in dpkt.pcap.Reader(file):
            packet = dpkt.ethernet.Ethernet(frame).data
            if isinstance(packet, dpkt.ip.IP) and isinstance(packet.data, dpkt.tcp.TCP) and packet.data.data:
                tcp = packet.data
                key = ((packet.src, tcp.sport), (packet.dst, tcp.dport))
                pieces[key][tcp.seq] = bytes(tcp.data)
    return [
        Flow(source, target, b"".join(data for _, data in sorted(parts.items())))
        for (source, target), parts in pieces.items()
    ]


def leaks(data: bytes, markers: list[Marker]) -> list[str]:
    """Names of the markers, with their form, that occur in *data*."""
    return [f"{marker.text} as {form}" for marker in markers for form in marker.found_in(data)]
