# SPDX-License-Identifier: Apache-2.0
"""Connections of one port-forward at the provider: opened as the client says, carried until it goes."""

import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import trio

from trustedpods.protocol.errors import NetworkFailure, Refused, RemoteProtocolError, TrustedPodsError
from trustedpods.protocol.messages.forward import (
    MAX_CONNECTIONS,
    ForwardBody,
    ForwardInput,
    ForwardOutput,
    ForwardStarted,
)
from trustedpods.protocol.net.forwarded.carrier import Carrier, Carriers
from trustedpods.protocol.net.streams import END
from trustedpods.protocol.sealing.inputs import MAX_SEALED, InputOpener
from trustedpods.provider.server.conversations import Request
from trustedpods.provider.server.exec_streams import BOOK_S, IDLE_S, LONGEST_S, Carried
from trustedpods.provider.server.replies import Replies

Standing = Callable[[], None]
"""Raises Refused where the pod that is forwarded to is none any more."""

DialPort = Callable[[int], Awaitable[trio.SocketStream]]
"""Connects to a port of the request, by its place there; NetworkFailure or Refused with the reason."""


@dataclass(frozen=True, slots=True)
class ForwardTimes:
    """Seconds: without a byte, of the whole, and between two entries into the books and looks at the pod."""

    idle_s: float = IDLE_S
    longest_s: float = LONGEST_S
    look_s: float = BOOK_S


async def begin(replies: Replies, ports: list[int]) -> None:
    """Says to a client that connections to *ports* are taken, and by what key it knows what follows."""
    key = secrets.token_bytes(32)
    await replies.send_keyed(ForwardStarted(ports=ports, output_key=key), key)


class ForwardedConnections:
    """Carries connections until the client ends the conversation.

    Each of *rooms* has places that connections of several conversations share. *standing* is asked now and
    then whether the pod is still there.
    """

    def __init__(
        self,
        request: Request,
        body: ForwardBody,
        dial: DialPort,
        carried: Carried,
        rooms: Sequence[trio.CapacityLimiter],
        standing: Standing = lambda: None,
        times: ForwardTimes = ForwardTimes(),
    ) -> None:
        self._request = request
        self._body = body
        self._dial = dial
        self._carried = carried
        self._rooms = rooms
        self._standing = standing
        self._times = times
        self._opener = InputOpener(body.input_key, request.opened.digest)
        self._carriers = Carriers(MAX_CONNECTIONS)
        self._bytes_in = self._bytes_out = 0
        self._turn = trio.CancelScope()
        self._last_move = 0.0
        self._trouble: list[TrustedPodsError] = []

    async def run(self) -> None:
        """Returns when the client has ended the conversation.

        Raises NetworkFailure when it is gone, RemoteProtocolError for what does not belong here, Refused
        (rule "idle", "too-long") at a limit of time, or what *standing* raised.
        """
        self._moved()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._from_client, nursery)
                nursery.start_soon(self._keep_booking)
                nursery.start_soon(self._end_in_time)
                await self._to_client()
                nursery.cancel_scope.cancel()
        finally:  # also where the conversation is ended from outside
            with trio.CancelScope(shield=True):
                await self._carried(self._bytes_in, self._bytes_out)
        if self._trouble[0].rule != END:
            raise self._trouble[0]

    def _stop(self, why: TrustedPodsError) -> None:
        """No more is said. A send that is under way goes on: cut off it would spoil the last word."""
        self._trouble.append(why)
        self._turn.cancel()

    async def _end_in_time(self) -> None:
        idle_s, longest_s = self._times.idle_s, self._times.longest_s
        latest = trio.current_time() + longest_s
        while (now := trio.current_time()) < latest:
            if now >= self._last_move + idle_s:
                self._stop(Refused(f"no byte moved for {idle_s:.0f} s", rule="idle"))
                return
            await trio.sleep_until(min(latest, self._last_move + idle_s))
        self._stop(Refused(f"a port-forward is open for {longest_s:.0f} s at most", rule="too-long"))

    # ---- from the client -------------------------------------------------------------------------

    async def _from_client(self, nursery: trio.Nursery) -> None:
        try:
            while True:
                sealed = await self._request.replies.stream.receive(MAX_SEALED, None)
                self._heed(self._opener.open_as(sealed, ForwardInput), nursery)
        except TrustedPodsError as error:
            self._stop(error)

    def _heed(self, message: ForwardInput, nursery: trio.Nursery) -> None:
        if message.open is not None:
            carrier = self._carriers.add(message.connection)
            self._begin(carrier, message.open, nursery)
        else:
            found = self._carriers.get(message.connection)
            if found is None:
                return  # it ended here while this was under way
            carrier = found
        if message.close:
            self._carriers.drop(carrier)
            return
        carrier.note(message.data, end=message.end, taken=message.taken)
        self._bytes_in += len(message.data)
        self._moved()

    def _begin(self, carrier: Carrier, place: int, nursery: trio.Nursery) -> None:
        if place >= len(self._body.ports):
            raise RemoteProtocolError(f"no port {place} was asked for", rule="exec-input")
        if len(self._carriers) > 2 * MAX_CONNECTIONS:
            raise RemoteProtocolError("more refused connections than it reads of", rule="exec-window")
        if len(self._carriers) > MAX_CONNECTIONS:
            carrier.paced.fail(f"more than {MAX_CONNECTIONS} connections at once")
            self._carriers.ring()
            return
        nursery.start_soon(self._run, carrier, place)

    async def _run(self, carrier: Carrier, place: int) -> None:
        with ExitStack() as places:
            try:
                for room in self._rooms:
                    room.acquire_on_behalf_of_nowait(carrier)
                    places.callback(room.release_on_behalf_of, carrier)
            except trio.WouldBlock:
                carrier.paced.fail("the provider takes no more connections now: close some")
                self._carriers.ring()
                return
            await carrier.run(lambda: self._dial(place))

    # ---- to the client ---------------------------------------------------------------------------

    async def _to_client(self) -> None:
        """One task alone sends: a send that is cancelled spoils the stream, and only its end may do that."""
        while not self._trouble:
            with trio.CancelScope() as self._turn:
                carrier, piece = await self._carriers.next_piece()
            if self._turn.cancelled_caught:
                continue
            self._bytes_out += len(piece.data)
            message = ForwardOutput(
                connection=carrier.number,
                data=piece.data,
                end=piece.end,
                taken=piece.taken,
                closed=piece.closed,
            )
            try:
                await self._request.replies.send(message)
            except NetworkFailure as error:
                self._stop(error)
            self._moved()

    async def _keep_booking(self) -> None:
        while True:
            await trio.sleep(self._times.look_s)
            await self._carried(self._bytes_in, self._bytes_out)
            try:
                self._standing()
            except TrustedPodsError as error:
                self._stop(error)
                return

    def _moved(self) -> None:
        self._last_move = trio.current_time()
