# SPDX-License-Identifier: Apache-2.0
"""The only door to libp2p: authenticated, encrypted streams of frames between two peers.

Built from py-libp2p's Noise handshake, yamux multiplexer and multistream negotiation, without
its swarm: connections, their limits, their end and every write are ours, because the swarm of
0.8.1 can be impersonated, stalled and stopped by any stranger (docs/protocol.md lists how, and
tests/protocol/net has one test for each). On the wire it is plain libp2p: TCP, /noise,
/yamux/1.0.0, and the protocols that a host serves (`protocol_ids`).

No business decision is made here: a stream carries payloads, its other end has a proven peer id.
Importing this costs a second (libp2p); import it inside the verb that needs it.
"""

from trustedpods.protocol.net.bounds import Bounds
from trustedpods.protocol.net.connection import Connection
from trustedpods.protocol.net.host import Host, open_host
from trustedpods.protocol.net.streams import FrameStream

__all__ = ["Bounds", "Connection", "FrameStream", "Host", "open_host"]
