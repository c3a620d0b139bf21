# SPDX-License-Identifier: Apache-2.0
"""One authenticated connection: the streams that we open on it, and those that the peer opens."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import trio
from libp2p.custom_types import TProtocol
from libp2p.io.exceptions import IOException
from libp2p.stream_muxer.exceptions import MuxedConnUnavailable
from libp2p.stream_muxer.yamux.yamux import YamuxStream

from trustedpods.protocol.errors import NetworkFailure, RemoteProtocolError, TrustedPodsError
from trustedpods.protocol.net.streams import ByteStream, FrameStream, translated
from trustedpods.protocol.net.upgrade import choose, offer
from trustedpods.protocol.net.yamux import BoundedYamux

PROTOCOL = "/trustedpods/1.0.0"
"""The libp2p protocol of every stream; the number changes when an old peer would misunderstand."""

Handler = Callable[[FrameStream], Awaitable[None]]

_log = logging.getLogger(__name__)


class Connection:
    """A connection to one peer, made by `Host.dial` or accepted by a host."""

    def __init__(self, muxer: BoundedYamux, nursery: trio.Nursery) -> None:
        self.remote_peer_id = muxer.peer_id.to_bytes()
        """Proven by the Noise handshake."""
        self._muxer = muxer
        self._nursery = nursery
        self._serving = 0

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

    async def run(self, handler: Callable[[], Handler | None] | None) -> None:
        """Drive the connection until it ends; serve the peer's streams if there is a handler.

        Raises nothing: whatever happens on a connection ends this connection only.
        """
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._accept_streams, handler)
                if handler is not None:
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
    async def stream(self) -> AsyncIterator[FrameStream]:
        """Open a stream. Left normally it is finished, left by an exception it is reset.

        Raises `NetworkFailure` when the connection is gone or the peer does not answer, and
        `RemoteProtocolError` when the peer does not speak our protocol.
        """
        stream = await self._open()
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

    async def _open(self) -> ByteStream:
        try:
            with trio.fail_after(self._muxer.bounds.negotiation_s):
                with translated():
                    stream = ByteStream(self._muxer, await self._muxer.open_stream())
                try:
                    await self._choose(stream)
                except BaseException:
                    await stream.reset()
                    raise
        except trio.TooSlowError as error:
            raise NetworkFailure("the peer does not answer", rule="timeout") from error
        return stream

    async def _choose(self, stream: ByteStream) -> None:
        try:
            await choose(stream, TProtocol(PROTOCOL))
        except Exception as error:
            if stream.is_over:
                raise NetworkFailure("the peer refused the stream, or the connection broke") from error
            raise RemoteProtocolError(f"the peer does not speak {PROTOCOL}") from error

    # ---- streams that the peer opens ---------------------------------------------------------

    async def _accept_streams(self, handler: Callable[[], Handler | None] | None) -> None:
        try:
            while True:
                accepted = await self._muxer.accept_stream()
                if not isinstance(accepted, YamuxStream):
                    raise TypeError("yamux gave something else than its streams")
                stream = ByteStream(self._muxer, accepted)
                serve = handler() if handler is not None else None
                if serve is None or self._serving >= self._muxer.bounds.max_streams:
                    await stream.reset()
                else:
                    self._serving += 1
                    self._nursery.start_soon(self._serve, stream, serve)
        except MuxedConnUnavailable:
            return

    async def _serve(self, stream: ByteStream, serve: Handler) -> None:
        """One stream of the peer's, from negotiation to end; nothing that happens here spreads."""
        try:
            if await self._negotiate(stream):
                await serve(FrameStream(stream, self.remote_peer_id, self.remote_host))
                await stream.close()
                await stream.linger()
        except (TrustedPodsError, IOException) as error:
            _log.debug("a stream ended: %s", error)
        except Exception:  # noqa: BLE001 - a handler's bug must not stop the host
            _log.exception("the handler of a stream failed")
        finally:
            self._serving -= 1
            await stream.reset()

    async def _negotiate(self, stream: ByteStream) -> bool:
        try:
            with trio.fail_after(self._muxer.bounds.negotiation_s):
                await offer(stream, TProtocol(PROTOCOL))
        except Exception as error:  # noqa: BLE001 - a stranger's bytes reach many decoders
            _log.debug("a peer chose no protocol: %r", error)
            return False
        return True

    async def _end_when_idle(self) -> None:
        limit = self._muxer.bounds.idle_s
        busy = trio.current_time()
        while trio.current_time() - busy < limit:
            await trio.sleep(limit / 4)
            if self.streams or self._serving:
                busy = trio.current_time()
        await self.close()
