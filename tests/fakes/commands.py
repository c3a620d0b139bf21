# SPDX-License-Identifier: Apache-2.0
"""Commands of a `FakeCluster`: functions that read an input and write outputs, as a container's would."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import trio

from trustedpods.protocol.errors import NetworkFailure, Refused
from trustedpods.protocol.messages.exec import TerminalSize
from trustedpods.provider.cluster.api.commands import Exit, Output
from trustedpods.publisher.parallel import open_nursery


@dataclass
class FakeCommand:
    """One that runs: `input` and `outputs` as the daemon moves them; `cut` when it went away."""

    words: list[str]
    place: tuple[str, str, str]
    input: list[bytes | None] = field(default_factory=list)
    cut: trio.Event = field(default_factory=trio.Event)
    most: int = 1 << 30
    sizes: list[TerminalSize] = field(default_factory=list)
    hung_up: bool = False
    _bell: trio.Event = field(default_factory=trio.Event)
    _outputs: list[Output | Exit | None] = field(default_factory=list)

    async def send(self, data: bytes) -> None:
        """What a pipe has room for: a command that does not read holds its writer back."""
        while sum(len(piece or b"") for piece in self.input) + len(data) > self.most:
            await self._bell.wait()
        self.input.append(data)
        self._ring()

    async def end_input(self) -> None:
        self.input.append(None)
        self._ring()

    async def resize(self, size: TerminalSize) -> None:
        self.sizes.append(size)
        self._ring()
        await trio.lowlevel.checkpoint()

    async def hang_up(self) -> None:
        self.hung_up = True

    async def until(self, condition: Callable[[], bool]) -> None:
        """The command's side: waits for what the daemon does."""
        while not condition():
            await self._bell.wait()

    async def receive(self) -> Output | Exit:
        while not self._outputs:
            await self._bell.wait()
        came = self._outputs.pop(0)
        self._ring()
        if came is None:
            raise NetworkFailure("the command's connection ended before the command did")
        return came

    async def read(self) -> bytes | None:
        """The command's side: a piece of its input, None at the end."""
        while not self.input:
            await self._bell.wait()
        piece = self.input.pop(0)
        self._ring()
        return piece

    async def write(self, data: bytes, stream: str = "stdout") -> None:
        """The command's side: waits until what it wrote before was taken."""
        while self._outputs:
            await self._bell.wait()
        self._outputs.append(Output(stream, data))
        self._ring()

    def _ring(self) -> None:
        self._bell.set()
        self._bell = trio.Event()


Behaviour = Callable[[FakeCommand], Awaitable[int | None]]


@dataclass
class FakeCommands:
    """The part of `FakeCluster` that runs commands: `programs` by name; `ran` are all that were begun."""

    programs: dict[str, Behaviour] = field(default_factory=dict)
    ran: list[FakeCommand] = field(default_factory=list)

    async def _called(self, name: str) -> None:
        raise NotImplementedError

    @asynccontextmanager
    async def exec(
        self,
        namespace: str,
        pod: str,
        container: str,
        command: Sequence[str],
        *,
        stdin: bool,
        size: TerminalSize | None = None,
    ) -> AsyncIterator[FakeCommand]:
        await self._called(f"exec {pod}/{container}")
        made = FakeCommand(list(command), (namespace, pod, container))
        program = self.programs.get(command[0])
        if program is None:
            raise Refused(f"{command[0]}: not found", rule="exec-start")
        self.ran.append(made)
        if size is not None:
            made.sizes.append(size)

        async def run() -> None:
            code = await program(made)
            while made._outputs:
                await made._bell.wait()
            made._outputs.append(None if code is None else Exit(code))
            made._ring()

        async with open_nursery() as nursery:
            nursery.start_soon(run)
            try:
                yield made
            finally:
                made.cut.set()
                nursery.cancel_scope.cancel()
