# SPDX-License-Identifier: Apache-2.0
"""From a TCP connection to an authenticated peer: /noise and nothing else, then /yamux/1.0.0."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from libp2p.abc import ISecureConn
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.x25519 import create_new_key_pair as create_noise_key_pair
from libp2p.custom_types import TProtocol
from libp2p.io.abc import ReadWriteCloser
from libp2p.peer.id import ID
from libp2p.protocol_muxer.multiselect import Multiselect
from libp2p.protocol_muxer.multiselect_client import MultiselectClient
from libp2p.protocol_muxer.multiselect_communicator import MultiselectCommunicator
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE
from libp2p.security.noise.transport import Transport as NoiseTransport
from libp2p.security.secure_session import SecureSession
from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID as YAMUX

from trustedpods.protocol.net.bounds import Bounds
from trustedpods.protocol.net.noise import NoiseSession
from trustedpods.protocol.net.transport import LimitedStream, RawConnection
from trustedpods.protocol.net.yamux import BoundedYamux


@dataclass(frozen=True, slots=True)
class Identity:
    """An Ed25519 key as libp2p uses it, and a Noise key that lives as long as the process."""

    peer_id: bytes
    noise: NoiseTransport

    @classmethod
    def from_seed(cls, seed: bytes | None) -> "Identity":
        """The identity that 32 bytes stand for; a new one for None."""
        keys = create_new_key_pair(seed)
        noise = NoiseTransport(keys, noise_privkey=create_noise_key_pair().private_key)
        return cls(ID.from_pubkey(keys.public_key).to_bytes(), noise)


async def upgrade_inbound(
    raw: RawConnection, identity: Identity, bounds: Bounds, on_received: Callable[[int], None]
) -> BoundedYamux:
    """Authenticate the peer that dialled us. Raises whatever libp2p raises for a bad peer."""
    await offer(raw, [NOISE])
    session = _fast(await identity.noise.secure_inbound(raw), raw)
    await offer(session, [YAMUX])
    return BoundedYamux(session, session.get_remote_peer(), raw, bounds, on_received)


async def upgrade_outbound(
    raw: RawConnection,
    identity: Identity,
    expected: bytes,
    bounds: Bounds,
    on_received: Callable[[int], None],
) -> BoundedYamux:
    """Authenticate the peer that we dialled: it must be *expected*."""
    await choose(raw, NOISE)
    session = _fast(await identity.noise.secure_outbound(raw, ID(expected)), raw)
    if session.get_remote_peer().to_bytes() != expected:
        raise PermissionError("another peer answered")
    await choose(session, YAMUX)
    return BoundedYamux(session, session.get_remote_peer(), raw, bounds, on_received)


def _fast(session: ISecureConn, raw: RawConnection) -> NoiseSession:
    if not isinstance(session, SecureSession):
        raise TypeError("libp2p gave something else than its Noise session")
    return NoiseSession(session, raw)


async def offer(stream: ReadWriteCloser, protocols: Collection[str]) -> str:
    """Let the peer choose one of *protocols*, the only ones there are; which one it chose.

    Raises libp2p's errors, and `PermissionError`, when the peer chooses none of them.
    """
    served = Multiselect(dict.fromkeys(map(TProtocol, protocols)))
    chosen, _ = await served.negotiate(MultiselectCommunicator(LimitedStream(stream)))
    if chosen is None or chosen not in protocols:
        raise PermissionError("the peer chose nothing")
    return chosen


async def choose(stream: ReadWriteCloser, protocol: str) -> None:
    """Choose *protocol* of the peer's. Raises libp2p's errors when the peer does not serve it."""
    await MultiselectClient().select_one_of(
        [TProtocol(protocol)], MultiselectCommunicator(LimitedStream(stream))
    )
