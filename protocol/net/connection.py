# SPDX-License-Identifier: Apache-2.0
"""One authenticated connection: the streams that we open on it, and those that the peer opens."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import trio
from libp2p.io.exceptions import IOException
from libp2p.stream_muxer.exceptions import MuxedConnUnavailable
from libp2p.stream_muxer.yamux.yamux import YamuxStream

from trustedpods.protocol.errors import NetworkFailure, RemoteProtocolError, TrustedPodsError
from trustedpods.protocol.net.streams import ByteStream, FrameStream, translated
from trustedpods.protocol.net.upgrade import choose, offer
from trustedpods.protocol.net.yamux import BoundedYamux
from trustedpods.protocol.protocol_ids import ProtocolId

StreamHandler = Callable[[FrameStream], Awaitable[None]]
"""Serves one stream that a peer opened, from its first frame to its last."""

StreamHandlers = Mapping[ProtocolId, StreamHandler]
"""Who serves which protocol."""

_log = logging.getLogger(__name__)


class Connection:
    """A connection to one peer, made by `Host.dial` or accepted by a host."""

    def __init__(self, muxer: BoundedYamux, nursery: trio.Nursery) -> None:
        self.remote_peer_id = muxer.peer_id.to_bytes()
        """Proven by the Noise handshake."""
        self._muxer = muxer
        self._nursery = nursery
        self._serving = 0
        self._served_until = trio.current_time()

    # ---- seen by the host --------------------------------------------------------------------

    @property
    def remote_host(self) -> str:
        """The peer's IP address."""
        return self._muxer.raw.remote_host

    @property
    def last_heard(self) -> float:
        """When bytes last came, in trio's time."""
        return self._muxer.raw.last_heard

    @property
    def streams(self) -> int:
        """Streams open now."""
        return len(self._muxer.streams)

    @property
    def unread(self) -> int:
        """Bytes received and not yet handed on as whole frames."""
        return self._muxer.unread

    async def run(self, handlers: StreamHandlers | None) -> None:
        """Drive the connection until it ends; serve the peer's streams, by what *handlers* has at the time.

        None is for a connection that we dialled: no stream of the peer's is served, and we end it.

        Raises nothing: whatever happens on a connection ends this connection only.
        """
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._accept_streams, handlers)
                if handlers is not None:
                    nursery.start_soon(self._end_when_idle)
                await self._muxer.run()
                nursery.cancel_scope.cancel()
        except Exception:  # noqa: BLE001 - logged, and the connection is closed
            _log.exception("a connection failed in a way that nobody foresaw")
        finally:
            self.abort()

    def abort(self) -> None:
        """End the connection now."""
        self._muxer.abort()

    async def close(self) -> None:
        """Write what is still to be written, for a bounded time, then end the connection."""
        await self._muxer.finish()

    # ---- streams that we open ----------------------------------------------------------------

    @asynccontextmanager
    async def stream(self, protocol_id: ProtocolId) -> AsyncIterator[FrameStream]:
        """Open a stream of a protocol. Left normally it is finished, left by an exception it is reset.

        Raises `NetworkFailure` when the connection is gone or the peer does not answer, and
        `RemoteProtocolError` when the peer does not speak the protocol.
        """
        stream = await self._open(protocol_id)
        try:
            yield FrameStream(stream, self.remote_peer_id)
        except BaseException:
            await stream.reset()
            raise
        if stream.is_over:
            await stream.reset()
        else:
            with translated():
                await stream.close()
            self._nursery.start_soon(stream.linger)

    async def _open(self, protocol_id: ProtocolId) -> ByteStream:
        try:
            with trio.fail_after(self._muxer.bounds.negotiation_s):
                with translated():
                    stream = ByteStream(self._muxer, await self._muxer.open_stream())
                try:
                    await self._choose(stream, protocol_id)
                except BaseException:
                    await stream.reset()
                    raise
        except trio.TooSlowError as error:
            raise NetworkFailure("the peer does not answer", rule="timeout") from error
        return stream

    async def _choose(self, stream: ByteStream, protocol_id: ProtocolId) -> None:
        try:
            await choose(stream, protocol_id)
        except Exception as error:
            if stream.is_over:
                raise NetworkFailure("the peer refused the stream, or the connection broke") from error
            raise RemoteProtocolError(f"the peer does not speak {protocol_id}") from error

    # ---- streams that the peer opens ---------------------------------------------------------

    async def _accept_streams(self, handlers: StreamHandlers | None) -> None:
        try:
            while True:
                accepted = await self._muxer.accept_stream()
                if not isinstance(accepted, YamuxStream):
                    raise TypeError("yamux gave something else than its streams")
                stream = ByteStream(self._muxer, accepted)
                served = dict(handlers or {})
                if not served or self._serving >= self._muxer.bounds.max_streams:
                    await stream.reset()
                else:
                    self._serving += 1
                    self._nursery.start_soon(self._serve, stream, served)
        except MuxedConnUnavailable:
            return

    async def _serve(self, stream: ByteStream, handlers: StreamHandlers) -> None:
        """One stream of the peer's, from negotiation to end; nothing that happens here spreads."""
        try:
            protocol_id = await self._negotiate(stream, handlers)
            if protocol_id is not None:
                await handlers[protocol_id](FrameStream(stream, self.remote_peer_id, self.remote_host))
                await stream.close()
                await stream.linger()
        except (TrustedPodsError, IOException) as error:
            _log.debug("a stream ended: %s", error)
        except Exception:  # noqa: BLE001 - a handler's bug must not stop the host
            _log.exception("the handler of a stream failed")
        finally:
            self._serving -= 1
            self._served_until = trio.current_time()
            await stream.reset()

    async def _negotiate(self, stream: ByteStream, handlers: StreamHandlers) -> ProtocolId | None:
        """The protocol that the peer chose of those served; None when it chose none."""
        try:
            with trio.fail_after(self._muxer.bounds.negotiation_s):
                return ProtocolId(await offer(stream, handlers))
        except Exception as error:  # noqa: BLE001 - a stranger's bytes reach many decoders
            _log.debug("a peer chose no protocol: %r", error)
            return None

    async def _end_when_idle(self) -> None:
        """Streams that came and went between two looks count too."""
        limit = self._muxer.bounds.idle_s
        busy = trio.current_time()
        while trio.current_time() - max(busy, self._served_until) < limit:
            await trio.sleep(limit / 4)
            if self.streams or self._serving:
                busy = trio.current_time()
        await self.close()
