# SPDX-License-Identifier: Apache-2.0
"""`port-forward`: ports of this machine's loopback that stand for ports of a pod.

Each connection to one is carried over one conversation with the provider, and an error of one ends no other.
Nobody but this machine reaches the ports here.
"""

import errno
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import trio

from trustedpods.protocol.errors import Locked, NetworkFailure, RemoteProtocolError
from trustedpods.protocol.messages.base import Done
from trustedpods.protocol.messages.forward import (
    MAX_CONNECTIONS,
    ForwardBody,
    ForwardInput,
    ForwardOutput,
    ForwardPort,
    ForwardStarted,
)
from trustedpods.protocol.net.forwarded.carrier import Carriers, reset_when_closed
from trustedpods.protocol.sealing.inputs import InputSealer
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.market.session import Conversation, next_generation
from trustedpods.publisher.market.silence import SilenceWatch, patient_bounds
from trustedpods.publisher.parallel import open_nursery
from trustedpods.publisher.results.pods import VisitProgress
from trustedpods.publisher.results.streams.forwarded import ForwardedPort, ForwardResult
from trustedpods.publisher.verbs.pods import visit
from trustedpods.publisher.verbs.streams.ports import PortPair

HERE = "127.0.0.1"
"""The one address that is listened on."""

START_TIMEOUT_S = 60.0
"""Until the provider takes connections: its own limits on its cluster are below this."""


@asynccontextmanager
async def port_forward(
    account: MarketAccount,
    name: str,
    pairs: Sequence[PortPair],
    progress: VisitProgress,
    journal: Journal,
    *,
    service: str | None = None,
    replica: str | None = None,
) -> AsyncIterator[ForwardResult]:
    """Carry connections for the block, whose result says where they are taken.

    With *service* the ports are that service's. Raises Refused (rule `forward-port`) for a port that the pod
    does not declare, Locked where somebody else listens here, and NetworkFailure, into the block too, when
    the provider is gone.
    """
    listeners = await _listen(pairs)
    try:
        bounds = patient_bounds(account.timing)
        async with visit(account, name, progress, journal, bounds=bounds) as visited:
            asked = [ForwardPort(port=pair.port, service=service) for pair in pairs]
            body = ForwardBody(ports=asked, input_key=secrets.token_bytes(32), replica=replica)
            ref = visited.location.ref
            async with visited.session.converse("forward", ref, body, next_generation()) as conversation:
                started = await _begun(conversation, len(pairs))
                sealer = InputSealer(body.input_key, conversation.digest)
                result = _result(progress, pairs, listeners, started, service)
                async with open_nursery() as nursery:
                    nursery.start_soon(SilenceWatch(visited.session, journal.show.warning).run)
                    nursery.start_soon(_Forwarding(conversation, sealer, result, journal).run, listeners)
                    yield result
                    nursery.cancel_scope.cancel()
    finally:
        for listener in listeners:
            listener.socket.close()


async def _begun(conversation: Conversation, ports: int) -> ForwardStarted:
    """Connections to so many ports are taken, and what is said of them has a key of its own."""
    started = await conversation.reply(ForwardStarted, timeout=START_TIMEOUT_S)
    if len(started.ports) != ports:
        raise RemoteProtocolError("other ports than those that were asked for", rule="exec-output")
    conversation.expect_keyed(started.output_key)
    return started


async def _listen(pairs: Sequence[PortPair]) -> list[trio.SocketListener]:
    """A socket for each port, all or none."""
    made: list[trio.SocketListener] = []
    try:
        for pair in pairs:
            made += await trio.open_tcp_listeners(pair.local, host=HERE)
    except OSError as error:
        for listener in made:
            listener.socket.close()
        busy = error.errno == errno.EADDRINUSE
        what = "another process listens there" if busy else f"cannot listen: {error.strerror or error}"
        hint = f"choose another: {pair.local + 1}:{pair.port}, or any: :{pair.port}"
        raise Locked(what, where=f"{HERE}:{pair.local}", hint=hint) from error
    return made


def _result(
    progress: VisitProgress,
    pairs: Sequence[PortPair],
    listeners: Sequence[trio.SocketListener],
    started: ForwardStarted,
    service: str | None,
) -> ForwardResult:
    ports = tuple(
        ForwardedPort(HERE, listener.socket.getsockname()[1], pair.port, container_port)
        for pair, listener, container_port in zip(pairs, listeners, started.ports, strict=True)
    )
    return ForwardResult(progress.visited(), ports, service)


class _Forwarding:
    """The connections of one conversation at the client. One task sends, one receives."""

    def __init__(
        self, conversation: Conversation, sealer: InputSealer, result: ForwardResult, journal: Journal
    ) -> None:
        self._conversation = conversation
        self._sealer = sealer
        self._ports = result.ports
        self._show = journal.show
        self._carriers = Carriers(MAX_CONNECTIONS)
        self._opening: dict[int, int] = {}
        self._places: dict[int, int] = {}
        self._next = 0

    async def run(self, listeners: Sequence[trio.SocketListener]) -> None:
        """Until cancelled; raises what the provider says, and NetworkFailure when it is gone."""
        async with open_nursery() as nursery:
            nursery.start_soon(self._receive)
            nursery.start_soon(self._send)
            for place, listener in enumerate(listeners):
                nursery.start_soon(self._accept, place, listener)

    async def _accept(self, place: int, listener: trio.SocketListener) -> None:
        async def carry(stream: trio.SocketStream) -> None:
            await self._carry(place, stream)

        await trio.serve_listeners(carry, [listener])

    async def _carry(self, place: int, stream: trio.SocketStream) -> None:
        if self._carriers.full:
            self._show.warning(f"port {self._ports[place].local}: {MAX_CONNECTIONS} connections are open")
            reset_when_closed(stream)
            await stream.aclose()
            return
        number, self._next = self._next, self._next + 1
        carrier = self._carriers.add(number, announces=True)
        self._opening[number] = self._places[number] = place

        async def dial() -> trio.SocketStream:
            await trio.lowlevel.checkpoint()
            return stream

        self._carriers.ring()
        try:
            await carrier.run(dial)
        finally:
            self._places.pop(number, None)
            reset_when_closed(stream)  # closed already, but where all was cut before anything was carried

    async def _send(self) -> None:
        while True:
            carrier, piece = await self._carriers.next_piece()
            message = ForwardInput(
                connection=carrier.number,
                open=self._opening.pop(carrier.number, None),
                data=piece.data,
                end=piece.end,
                taken=piece.taken,
                close=piece.closed is not None,
            )
            await self._conversation.stream.send(self._sealer.seal(message))

    async def _receive(self) -> None:
        while True:
            reply = await self._conversation.reply(ForwardOutput, Done, timeout=None)
            if not isinstance(reply, ForwardOutput):
                raise NetworkFailure("the provider ended the port-forward", rule="exec-end")
            carrier = self._carriers.get(reply.connection)
            if carrier is None:
                continue  # it ended here while this was under way
            if reply.closed is not None:
                self._broken_off(reply)
                self._carriers.drop(carrier)
            else:
                carrier.note(reply.data, end=reply.end, taken=reply.taken)

    def _broken_off(self, reply: ForwardOutput) -> None:
        place = self._places.get(reply.connection)
        where = "a connection" if place is None else f"a connection to port {self._ports[place].port}"
        self._show.warning(f"{where}: {reply.closed}")
