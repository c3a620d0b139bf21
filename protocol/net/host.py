# SPDX-License-Identifier: Apache-2.0
"""A host: an identity, the addresses that it listens on, and the connections it makes and takes."""

import errno
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import trio

from trustedpods.protocol.errors import BadInput, Locked, NetworkFailure, RemoteProtocolError
from trustedpods.protocol.net.addresses import PeerAddress, peer_name
from trustedpods.protocol.net.bounds import Bounds
from trustedpods.protocol.net.connection import Connection, StreamHandler
from trustedpods.protocol.net.connection_limits import ConnectionLimits
from trustedpods.protocol.net.transport import RawConnection
from trustedpods.protocol.net.upgrade import Identity, upgrade_inbound, upgrade_outbound
from trustedpods.protocol.net.yamux import BoundedYamux
from trustedpods.protocol.protocol_ids import ProtocolId

DIAL_TIMEOUT_S = 15.0
"""From an address to an authenticated connection."""

_log = logging.getLogger(__name__)
_asked = logging.getLogger("trustedpods.asked")
"""What is asked of whom, for who wants to see it."""

logging.getLogger("libp2p").addHandler(logging.NullHandler())  # else its warnings go to standard error


class Host:
    """One peer of the network; made by `open_host`."""

    def __init__(self, identity: Identity, nursery: trio.Nursery, bounds: Bounds) -> None:
        self.peer_id = identity.peer_id
        """Multihash of the public key, as bound into evidence."""
        self.addresses: list[str] = []
        """Where it listens, each with `/p2p/` and the peer id; a port given as 0 is the real one here."""
        self._identity = identity
        self._nursery = nursery
        self._bounds = bounds
        self._limits = ConnectionLimits(bounds)
        self._handlers: dict[ProtocolId, StreamHandler] = {}

    def serve(self, protocol_id: ProtocolId, handler: StreamHandler) -> None:
        """From now on call *handler* for each stream of the protocol that a peer opens.

        A host serves any number of protocols; a second handler of one takes the place of the first.
        A peer that chooses a protocol without a handler is told so, as multistream-select says it.
        When it returns the stream is finished, when it raises the stream is reset; neither it nor
        a peer can stop the host. Work that outlives a stream belongs into the caller's nursery.
        """
        self._handlers[protocol_id] = handler

    @asynccontextmanager
    async def dial(self, address: str, timeout: float = DIAL_TIMEOUT_S) -> AsyncIterator[Connection]:
        """Connect to the peer at a multiaddr that ends in `/p2p/` and its id.

        Raises `NetworkFailure` when nobody answers within *timeout* seconds, and
        `RemoteProtocolError` when somebody else answers, or does not speak Noise and yamux.
        Leaving the block closes the connection; what the peer has not read by then may be lost.
        """
        _asked.debug("dial %s", address)
        connection = await self._connect(address, timeout)
        try:
            yield connection
        finally:
            await connection.close()

    async def _connect(self, address: str, timeout: float) -> Connection:
        try:
            target = PeerAddress.parse(address)
        except ValueError as error:
            raise NetworkFailure(f"cannot dial: {error}", rule="address") from error
        if target.peer_id is None:
            raise NetworkFailure("cannot dial without a peer id", where=address, rule="address")
        try:
            with trio.fail_after(timeout):
                stream = await trio.open_tcp_stream(target.host, target.port)
                muxer = await self._upgrade_outbound(
                    RawConnection(stream, initiator=True), target.peer_id, address
                )
        except trio.TooSlowError as error:
            what = f"the peer does not answer within {timeout:g} s"
            raise NetworkFailure(what, where=address, rule="timeout") from error
        except OSError as error:
            what = f"cannot connect: {error.strerror or error}"
            raise NetworkFailure(what, where=address, rule="connect") from error
        connection = Connection(muxer, self._nursery)
        self._nursery.start_soon(connection.run, None)
        return connection

    async def _upgrade_outbound(self, raw: RawConnection, expected: bytes, address: str) -> BoundedYamux:
        try:
            return await upgrade_outbound(raw, self._identity, expected, self._bounds, self._limits.received)
        except Exception as error:
            raw.abort()
            if raw.ended:
                raise NetworkFailure("the peer hung up", where=address, rule="connect") from error
            what = f"whoever answers does not prove to be {peer_name(expected)}"
            raise RemoteProtocolError(what, where=address, rule="peer-id") from error
        except BaseException:
            raw.abort()
            raise

    # ---- inbound -----------------------------------------------------------------------------

    async def listen(self, address: str) -> None:
        """Listen on one more multiaddr, in the background.

        Raises `BadInput` for an address that cannot be listened on and `Locked` for one that
        another process has.
        """
        try:
            wanted = PeerAddress.parse(address)
            listeners = await trio.open_tcp_listeners(wanted.port, host=wanted.host)
        except ValueError as error:
            raise BadInput(str(error), where="listen address") from error
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise Locked(f"another process listens on {address}") from error
            raise BadInput(f"cannot listen on {address}: {error.strerror or error}") from error
        for listener in listeners:
            port = listener.socket.getsockname()[1]
            self.addresses.append(str(PeerAddress(wanted.protocol, wanted.host, port, self.peer_id)))
        self._nursery.start_soon(trio.serve_listeners, self._accept, listeners)

    def reached_at(self, announced: Sequence[str]) -> list[str]:
        """Addresses that others are told: *announced*, each with this host's peer id, else the own ones.

        A provider has another id after each boot, so its settings cannot know it. `BadInput` for what is no
        address.
        """
        try:
            parsed = [PeerAddress.parse(address) for address in announced]
        except ValueError as error:
            raise BadInput(str(error), where="net.announce") from error
        return [str(replace(one, peer_id=self.peer_id)) for one in parsed] or self.addresses

    async def _accept(self, stream: trio.SocketStream) -> None:
        """One inbound connection, from its first byte to its last; never raises."""
        raw = RawConnection(stream, initiator=False)
        try:
            muxer = await self._upgrade_inbound(raw)
            if muxer is not None:
                connection = Connection(muxer, self._nursery)
                with self._limits.established(connection):
                    await connection.run(self._handlers)
        except Exception:  # noqa: BLE001 - logged, and the connection is closed
            _log.exception("an inbound connection failed in a way that nobody foresaw")
        finally:
            raw.abort()

    async def _upgrade_inbound(self, raw: RawConnection) -> BoundedYamux | None:
        with self._limits.pending(raw), trio.move_on_after(self._bounds.handshake_s):
            try:
                return await upgrade_inbound(raw, self._identity, self._bounds, self._limits.received)
            except Exception as error:  # noqa: BLE001 - a stranger's bytes reach many decoders
                _log.debug("a handshake failed: %r", error)
        return None


@asynccontextmanager
async def open_host(
    seed: bytes | None, listen: Sequence[str], bounds: Bounds | None = None
) -> AsyncIterator[Host]:
    """See `trustedpods.protocol.net.open_host`."""
    failure: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            host = Host(Identity.from_seed(seed), nursery, bounds or Bounds())
            for address in listen:
                await host.listen(address)
            try:
                yield host
            finally:
                nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        failure = _only(group)
    if failure is not None:
        raise failure


def _only(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """What the block raised, out of the nursery's wrapping; background tasks raise nothing."""
    return group.exceptions[0] if len(group.exceptions) == 1 else group
