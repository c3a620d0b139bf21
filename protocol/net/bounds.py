# SPDX-License-Identifier: Apache-2.0
"""Every bound of the network door, each with its reason. Times in seconds, sizes in bytes."""

from dataclasses import dataclass, replace
from math import ceil

from trustedpods.protocol.limits import KIB, MIB

NOISE_LENGTH = 2
"""Bytes before each Noise message."""

NOISE_PLAINTEXT = 65535 - 16
"""Plaintext of one Noise message."""

YAMUX_HEADER = 12
"""Bytes before each yamux payload."""

PIECE = NOISE_PLAINTEXT - YAMUX_HEADER
"""Payload of a data frame: with its header it fills exactly one Noise message."""

FIRST_WINDOW = 256 * KIB
"""Receive window of a new stream, fixed by the yamux specification; and the largest data frame
that we take, four times what libp2p's implementations send."""

BATCH = 4
"""Noise messages that are written at once, a quarter of a MiB: three of four writes are no system call."""

PAUSE_S = 90.0
"""A pause of the network that a terminal or a connection outlasts: a laptop changes its network within a
minute, and when it is back TCP's own retries, which double their pauses, may take twenty seconds more."""

READ_SIZE = 256 * KIB
"""Asked of the socket at once: four Noise messages, so three of four reads are no system call."""

NEGOTIATION_BYTES = 4 * KIB
"""What a peer may send while a protocol is chosen; libp2p itself would buffer gigabytes."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits of one host. The defaults suit a provider; tests shorten the times."""

    handshake_s: float = 10.0
    """From accepting a connection to an authenticated peer."""

    negotiation_s: float = 10.0
    """From opening a stream to its protocol."""

    stall_s: float = 60.0
    """Longest time without progress of a write, before its stream (or connection) is given up."""

    heartbeat_s: float = 15.0
    """Silence after which the peer is pinged; see `heartbeats`."""

    heartbeats: int = 2
    """Heartbeats of silence after which the peer is gone. Connections that carry what a person waits at
    outlast more (`outlasting`)."""

    idle_s: float = 60.0
    """How long an accepted connection may stay without a stream."""

    linger_s: float = 10.0
    """How long a stream waits for the peer's end after ours."""

    flush_s: float = 5.0
    """How long closing a connection waits for what is still to be written."""

    max_pending: int = 256
    """Accepted connections in their handshake; one more pushes out the oldest."""

    max_connections: int = 512
    """Authenticated inbound connections; one more pushes out the least active of the busiest address."""

    max_per_peer: int = 8
    """Inbound connections of one peer id; one more pushes out its least active."""

    max_streams: int = 64
    """Streams that a peer may have open on one connection; one more is reset."""

    max_window: int = 4 * MIB
    """Receive window that a stream grows to: 40 MB/s over a link with 100 ms round trip."""

    max_unread: int = 256 * MIB
    """Received and not yet read, of all streams; over it, the connection that holds most is closed."""

    def outlasting(self, pause_s: float) -> "Bounds":
        """The same for a network that pauses for *pause_s*: silence and stalled writes are borne so long."""
        heartbeats = max(self.heartbeats, ceil(pause_s / self.heartbeat_s))
        return replace(self, heartbeats=heartbeats, stall_s=max(self.stall_s, pause_s))
