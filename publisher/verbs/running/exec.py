# SPDX-License-Identifier: Apache-2.0
"""`exec`: run a command in a container, feed its input, hand on its outputs, and tell its exit code.

With a terminal or without one. A network that pauses meanwhile is outlasted (`market/silence.py`).
"""

import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from typing import Protocol

import trio
from pydantic import ValidationError

from trustedpods.protocol.errors import BadInput, RemoteProtocolError
from trustedpods.protocol.messages.exec import (
    MAX_PIECE,
    MAX_WORD,
    MAX_WORDS,
    WINDOW,
    ExecBody,
    ExecEnded,
    ExecInput,
    ExecOutput,
    ExecStarted,
    ExecTaken,
    TerminalBody,
    TerminalInput,
    TerminalSize,
)
from trustedpods.protocol.messages.verbs import Verb
from trustedpods.protocol.sealing.inputs import InputSealer
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.market.session import Conversation, next_generation
from trustedpods.publisher.market.silence import SilenceWatch, patient_bounds
from trustedpods.publisher.parallel import open_nursery
from trustedpods.publisher.results.pods import ExecResult, VisitProgress
from trustedpods.publisher.verbs.pods import visit
from trustedpods.publisher.visits.visit import Visit

ReadInput = Callable[[int], Awaitable[bytes]]
"""At most so many bytes of the command's input; none at its end."""

WriteOutput = Callable[[str, bytes], Awaitable[None]]
"""Takes a piece of "stdout" or "stderr"; the command is held back while it works."""


class Terminal(Protocol):
    """Whoever sits before a command: `entered` while it runs, with a window that may change."""

    def entered(self, watch: SilenceWatch | None) -> AbstractAsyncContextManager[None]:
        """Give the terminal to the command until the block is left."""

    def size(self) -> TerminalSize:
        """Of the window now."""

    async def resized(self) -> TerminalSize:
        """The next size that is another one."""


TAKEN_EVERY = WINDOW // 4
"""Bytes of output after which the provider is told that they were passed on."""

MAX_COMMAND = 24 * 1024
"""Bytes of a whole command: a request of this verb has 32 KiB, and 4 KiB around the command."""

MAX_COLLECTED = 64 * 1024 * 1024
"""Bytes of output that are kept for a program that asked for all of it at once."""

EXECUTE_TIMEOUT_S = 60.0
"""Until the command has started: the provider's own limits on its cluster are below this."""


def make_body(
    command: Sequence[str], *, stdin: bool, container: str | None = None, replica: str | None = None
) -> ExecBody:
    """The request's body; BadInput for a command that no request takes."""
    with _checked(command):
        return ExecBody(
            command=list(command),
            input_key=secrets.token_bytes(32),
            stdin=stdin,
            container=container,
            replica=replica,
        )


def make_terminal_body(
    command: Sequence[str], size: TerminalSize, *, container: str | None = None, replica: str | None = None
) -> TerminalBody:
    """The same for a command on a terminal."""
    with _checked(command):
        return TerminalBody(
            command=list(command),
            input_key=secrets.token_bytes(32),
            size=size,
            container=container,
            replica=replica,
        )


@contextmanager
def _checked(command: Sequence[str]) -> Iterator[None]:
    if sum(len(word.encode(errors="replace")) for word in command) > MAX_COMMAND:
        raise BadInput(
            f"a command of more than {MAX_COMMAND} bytes", where="CMD", hint="send what is long as its input"
        )
    try:
        yield
    except ValidationError:
        raise BadInput(
            f"1 to {MAX_WORDS} words of UTF-8 without NUL, each of at most {MAX_WORD} characters",
            where="CMD",
        ) from None


async def execute(
    account: MarketAccount,
    name: str,
    body: ExecBody | TerminalBody,
    read: ReadInput | None,
    write: WriteOutput,
    progress: VisitProgress,
    journal: Journal,
    terminal: Terminal | None = None,
) -> ExecResult:
    """Run a command in the pod *name* and return when it has ended.

    *read* is asked for its input when *body* has any; *terminal* belongs to a `TerminalBody`. Raises what the
    provider reports, and NetworkFailure when the command's end never came to be known.
    """
    bounds = patient_bounds(account.timing)
    async with visit(account, name, progress, journal, bounds=bounds) as visited:
        watch = SilenceWatch(visited.session, journal.show.warning)
        started, code = await run_in(visited, body, read, write, watch, terminal)
    return ExecResult(progress.visited(), started.container, started.replica, code)


async def run_in(
    visited: Visit,
    body: ExecBody | TerminalBody,
    read: ReadInput | None,
    write: WriteOutput,
    watch: SilenceWatch | None = None,
    terminal: Terminal | None = None,
) -> tuple[ExecStarted, int]:
    """The same in a pod that is visited already: where the command ran, and its exit code."""
    ref = visited.location.ref
    if isinstance(body, ExecBody) and not body.stdin:
        read = None
    verb: Verb = "exec" if isinstance(body, ExecBody) else "terminal"
    asked = visited.session.converse(verb, ref, body, next_generation())
    async with open_nursery() as nursery:
        if watch is not None:
            nursery.start_soon(watch.run)
        async with asked as conversation:
            started = await conversation.reply(ExecStarted, timeout=EXECUTE_TIMEOUT_S)
            sealer = InputSealer(body.input_key, conversation.digest)
            streams = _Streams(conversation, sealer, read, write, terminal)
            async with nullcontext() if terminal is None else terminal.entered(watch):
                code = await streams.run()
        nursery.cancel_scope.cancel()  # the stream is finished by now, not left open to the other side
    return started, code


class Collected:
    """Input from memory, and outputs into it."""

    def __init__(self, data: bytes) -> None:
        self._rest = memoryview(data)
        self.stdout, self.stderr = bytearray(), bytearray()

    async def read(self, most: int) -> bytes:
        """The next piece of the input."""
        await trio.lowlevel.checkpoint()
        piece, self._rest = self._rest[:most], self._rest[most:]
        return bytes(piece)

    async def write(self, stream: str, data: bytes) -> None:
        """Keeps a piece; BadInput when there is too much."""
        await trio.lowlevel.checkpoint()
        if len(self.stdout) + len(self.stderr) + len(data) > MAX_COLLECTED:
            raise BadInput(
                f"the command wrote more than {MAX_COLLECTED} bytes",
                hint="`trustedpods.publisher.verbs.running.exec.execute` hands output on as it comes",
            )
        (self.stdout if stream == "stdout" else self.stderr).extend(data)


class _Streams:
    """Carries bytes until the command's end is told. Replies are always read, and output waits here.

    So no side ever waits with a half-sent message for a reader that pauses.
    """

    def __init__(
        self,
        conversation: Conversation,
        sealer: InputSealer,
        read: ReadInput | None,
        write: WriteOutput,
        terminal: Terminal | None,
    ) -> None:
        self._conversation = conversation
        self._sealer = sealer
        self._read = read
        self._write = write
        self._terminal = terminal
        self._sending = trio.Lock()
        self._sent = self._handed = 0
        self._came = self._written = self._told = 0
        self._waiting: deque[tuple[str, bytearray]] = deque()
        self._ended: ExecEnded | None = None
        self._bell = trio.Event()

    async def run(self) -> int:
        """The command's exit code, when all of its output was written."""
        async with open_nursery() as nursery:
            nursery.start_soon(self._replies)
            if self._read is not None:
                nursery.start_soon(self._send_input, self._read)
            if self._terminal is not None:
                nursery.start_soon(self._send_sizes, self._terminal)
            await self._write_output()
            nursery.cancel_scope.cancel()
        assert self._ended is not None
        return self._ended.exit_code

    async def _replies(self) -> None:
        while self._ended is None:
            reply = await self._conversation.reply(ExecOutput, ExecTaken, ExecEnded, timeout=None)
            if isinstance(reply, ExecOutput):
                self._came += len(reply.data)
                if self._came - self._written > WINDOW:
                    raise RemoteProtocolError("more output than was asked for", rule="exec-window")
                self._keep(reply)
            elif isinstance(reply, ExecTaken):
                if not self._handed <= reply.total <= self._sent:
                    raise RemoteProtocolError("took input that was never sent", rule="exec-window")
                self._handed = reply.total
            elif isinstance(reply, ExecEnded):
                if not self._conversation.finished:
                    raise RemoteProtocolError("the command's end is not the last word", rule="exec-end")
                self._ended = reply
            self._ring()

    def _keep(self, output: ExecOutput) -> None:
        """Pieces of one stream wait as one: many small ones would take far more memory than their bytes."""
        if not output.data:
            raise RemoteProtocolError("an empty piece of output", rule="exec-output")
        if not self._waiting or self._waiting[-1][0] != output.stream:
            self._waiting.append((output.stream, bytearray()))
        self._waiting[-1][1].extend(output.data)

    async def _write_output(self) -> None:
        while self._ended is None or self._waiting:
            if not self._waiting:
                await self._bell.wait()
                continue
            stream, data = self._waiting.popleft()
            await self._write(stream, bytes(data))
            self._written += len(data)
            if self._written - self._told >= TAKEN_EVERY and self._ended is None:
                await self._send()

    async def _send_input(self, read: ReadInput) -> None:
        while data := await read(MAX_PIECE):
            for start in range(0, len(data), MAX_PIECE):
                piece = data[start : start + MAX_PIECE]
                while self._sent + len(piece) - self._handed > WINDOW:
                    await self._bell.wait()
                self._sent += len(piece)
                await self._send(piece)
        await self._send(end=True)

    async def _send_sizes(self, terminal: Terminal) -> None:
        while True:
            await self._send(size=await terminal.resized())

    async def _send(self, data: bytes = b"", *, end: bool = False, size: TerminalSize | None = None) -> None:
        """Sealed and sent by one task at a time: messages open in their order only."""
        async with self._sending:
            taken = self._told = self._written
            if self._terminal is None:
                sealed = self._sealer.seal(ExecInput(data=data, end=end, taken=taken))
            else:
                sealed = self._sealer.seal(TerminalInput(data=data, end=end, taken=taken, size=size))
            await self._conversation.stream.send(sealed)

    def _ring(self) -> None:
        self._bell.set()
        self._bell = trio.Event()
