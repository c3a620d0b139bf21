# SPDX-License-Identifier: Apache-2.0
"""The bytes of one running command: from the client to it and back, with a bounded part of them in memory.

Each direction is paced by its reader (`protocol/messages/exec.py`): what a client has not passed on is not
read from the node, and what a command has not read is not taken from the client. One task alone sends to
the client: a send that is cancelled would spoil the stream before the last message.
"""

import math
from collections import deque
from collections.abc import Awaitable, Callable

import trio

from trustedpods.protocol.errors import NetworkFailure, Refused, RemoteProtocolError, TrustedPodsError
from trustedpods.protocol.messages.base import Message
from trustedpods.protocol.messages.exec import (
    MAX_PIECE,
    WINDOW,
    ExecBody,
    ExecInput,
    ExecOutput,
    ExecTaken,
    TerminalBody,
    TerminalInput,
    TerminalSize,
)
from trustedpods.protocol.sealing.inputs import MAX_SEALED, InputOpener
from trustedpods.provider.cluster.api.commands import Exit, Output, RunningCommand
from trustedpods.provider.server.conversations import Request

IDLE_S = 3600.0
"""A command that moves no byte for so long has been forgotten; a quiet one (a vacuum) takes less."""

LONGEST_S = 12 * 3600.0
"""A terminal that is open for so long belongs to somebody who went home; commands without one may be long."""

PAUSE_S = 0.005
"""After a reply that was not full: a command that writes byte by byte costs at most 200 replies a second."""

BOOK_S = 10.0
"""How often what was carried is written into the books: a crash of the daemon gives away so much."""

Carried = Callable[[int, int], Awaitable[None]]
"""Takes what was carried so far in all: bytes to the command, bytes from it."""

LEAST_COST = 64
"""Bytes that the smallest piece counts for in memory."""

TAKEN_EVERY = WINDOW // 4
"""Bytes of input after which the client is told that they were handed on; and whenever none is left."""


class CommandStreams:
    """Carries bytes until the command ends. `bytes_in` and `bytes_out` were carried so far."""

    def __init__(
        self,
        request: Request,
        body: ExecBody | TerminalBody,
        command: RunningCommand,
        carried: Carried,
        idle_s: float = IDLE_S,
        longest_s: float = math.inf,
    ) -> None:
        self._carried = carried
        self._idle_s = idle_s
        self._longest_s = longest_s
        self._stream = request.replies.stream
        self._replies = request.replies
        self._opener = InputOpener(body.input_key, request.opened.digest)
        self._command = command
        self._terminal = isinstance(body, TerminalBody)
        self._stdin = isinstance(body, TerminalBody) or body.stdin
        self._size: TerminalSize | None = None
        self._input = bytearray()
        self._input_ended = False
        self._received = self.bytes_in = self._told = 0
        self._outputs: deque[tuple[str, bytearray]] = deque()
        self._output_cost = 0
        self._exit: Exit | None = None
        self.bytes_out = self._taken = 0
        self._bell = trio.Event()
        self._last_move = 0.0
        self._trouble: list[TrustedPodsError] = []

    async def run(self) -> int:
        """The command's exit code.

        Raises NetworkFailure when the client or the command's connection is gone, RemoteProtocolError for
        input that does not belong here, Refused (rule "idle") after *idle_s* in which no byte moved, or (rule
        "too-long") after *longest_s*.
        """
        self._moved()
        try:
            async with trio.open_nursery() as nursery:
                for task in (
                    self._from_client,
                    self._to_command,
                    self._resize,
                    self._from_command,
                    self._keep_booking,
                    self._end_in_time,
                ):
                    nursery.start_soon(self._guarded, task)
                await self._guarded(self._to_client)
                nursery.cancel_scope.cancel()
        finally:  # also where the conversation is ended from outside
            with trio.CancelScope(shield=True):
                await self._carried(self.bytes_in, self.bytes_out)
        if self._trouble:
            raise self._trouble[0]
        assert self._exit is not None
        return self._exit.code

    async def _guarded(self, task: Callable[[], Awaitable[None]]) -> None:
        """After trouble whoever sends says no more, and all is over."""
        try:
            await task()
        except TrustedPodsError as error:
            self._trouble.append(error)
            self._ring()

    async def _end_in_time(self) -> None:
        """A send that is under way is not cut off: that would spoil the last word."""
        latest = trio.current_time() + self._longest_s
        while (now := trio.current_time()) < latest:
            if now >= self._last_move + self._idle_s:
                raise Refused(
                    f"no byte moved for {self._idle_s:.0f} s; the command's input was ended", rule="idle"
                )
            await trio.sleep_until(min(latest, self._last_move + self._idle_s))
        raise Refused(f"a terminal is open for {self._longest_s:.0f} s at most", rule="too-long")

    async def _keep_booking(self) -> None:
        while True:
            await trio.sleep(BOOK_S)
            await self._carried(self.bytes_in, self.bytes_out)

    # ---- input -----------------------------------------------------------------------------------

    async def _from_client(self) -> None:
        """What the client sends, until it goes away."""
        while True:
            message = self._opened(await self._stream.receive(MAX_SEALED, None))
            self._note_taken(message.taken)
            if isinstance(message, TerminalInput) and message.size is not None:
                self._size = message.size
            if message.data or message.end:
                self._note_input(message)
            self._ring()

    def _opened(self, sealed: bytes) -> ExecInput | TerminalInput:
        return self._opener.open_as(sealed, TerminalInput) if self._terminal else self._opener.open(sealed)

    def _note_taken(self, taken: int) -> None:
        if not self._taken <= taken <= self.bytes_out:
            raise RemoteProtocolError(f"took {taken} of {self.bytes_out} bytes", rule="exec-window")
        self._taken = taken

    def _note_input(self, message: ExecInput | TerminalInput) -> None:
        if not self._stdin or self._input_ended:
            raise RemoteProtocolError("input where none belongs", rule="exec-input")
        self._received += len(message.data)
        if self._received - self.bytes_in > WINDOW:
            raise RemoteProtocolError(f"more than {WINDOW} bytes of input under way", rule="exec-window")
        self._input += message.data
        self._input_ended = message.end

    async def _to_command(self) -> None:
        if not self._stdin:
            return
        try:
            while await self._more_input():
                piece = bytes(self._input[:MAX_PIECE])
                await self._command.send(piece)
                del self._input[: len(piece)]
                self.bytes_in += len(piece)
                self._moved()
                self._ring()
            await self._command.end_input()
        except NetworkFailure:
            return  # the command ended before its input did: what is read from it says how

    async def _resize(self) -> None:
        """Of several sizes that came meanwhile the last one counts: no more than one waits."""
        try:
            while True:
                while self._size is None:
                    await self._bell.wait()
                size, self._size = self._size, None
                await self._command.resize(size)
        except NetworkFailure:
            return  # as above

    async def _more_input(self) -> bool:
        while not self._input and not self._input_ended:
            await self._bell.wait()
        return bool(self._input)

    # ---- output ----------------------------------------------------------------------------------

    async def _from_command(self) -> None:
        """Reads ahead at most a piece."""
        while self._exit is None:
            while self._output_cost >= MAX_PIECE:
                await self._bell.wait()
            came = await self._command.receive()
            if isinstance(came, Exit):
                self._exit = came
            else:
                self._add(came)
            self._ring()

    def _add(self, output: Output) -> None:
        if not self._outputs or self._outputs[-1][0] != output.stream:
            self._outputs.append((output.stream, bytearray()))
            self._output_cost += LEAST_COST
        self._outputs[-1][1].extend(output.data)
        self._output_cost += len(output.data)

    async def _to_client(self) -> None:
        """Says what there is to say, until the command has ended and all of its output was said."""
        while not self._trouble:
            message = self._next_message()
            if message is None:
                if self._exit is not None and not self._outputs:
                    return
                await self._bell.wait()
                continue
            await self._replies.send(message)
            if isinstance(message, ExecOutput):
                self._moved()
                if len(message.data) < MAX_PIECE:
                    await trio.sleep(PAUSE_S)

    def _next_message(self) -> Message | None:
        untold = self.bytes_in - self._told
        if untold >= TAKEN_EVERY or (untold and not self._input):
            self._told = self.bytes_in
            return ExecTaken(total=self._told)
        room = WINDOW - (self.bytes_out - self._taken)
        return self._cut(min(room, MAX_PIECE)) if self._outputs and room > 0 else None

    def _cut(self, most: int) -> ExecOutput:
        """The first piece of output that waits; it counts as said from now on."""
        stream, waiting = self._outputs[0]
        data = bytes(waiting[:most])
        del waiting[:most]
        self._output_cost -= len(data)
        if not waiting:
            self._outputs.popleft()
            self._output_cost -= LEAST_COST
        self.bytes_out += len(data)
        self._ring()
        return ExecOutput.model_validate({"stream": stream, "data": data})

    # ---- both ------------------------------------------------------------------------------------

    def _ring(self) -> None:
        """Something changed: whoever waits looks again."""
        self._bell.set()
        self._bell = trio.Event()

    def _moved(self) -> None:
        self._last_move = trio.current_time()
