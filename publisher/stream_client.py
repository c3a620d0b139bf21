# SPDX-License-Identifier: Apache-2.0
"""Verbs that carry bytes for as long as the caller wants, as a Python program calls them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from trustedpods.publisher.operating_client import OperatingClient
from trustedpods.publisher.results.pods import ExecResult, VisitProgress
from trustedpods.publisher.results.streams.copied import CopyResult
from trustedpods.publisher.results.streams.forwarded import ForwardResult
from trustedpods.publisher.verbs.running.exec import (
    ReadInput,
    Terminal,
    WriteOutput,
    execute,
    make_body,
    make_terminal_body,
)
from trustedpods.publisher.verbs.streams.copying import CopyOptions, copy
from trustedpods.publisher.verbs.streams.following import FollowOptions, LogFeed, follow_logs
from trustedpods.publisher.verbs.streams.port_forward import port_forward
from trustedpods.publisher.verbs.streams.ports import parse_ports


class StreamClient(OperatingClient):
    """These verbs of one key in one market; `Client` has all others too."""

    async def exec_stream(
        self,
        name: str,
        command: Sequence[str],
        *,
        read: ReadInput | None = None,
        write: WriteOutput,
        terminal: Terminal | None = None,
        container: str | None = None,
        replica: str | None = None,
    ) -> ExecResult:
        """Run *command*, taking its input from *read* and handing each piece of output to *write*.

        `read(most)` gives at most so many bytes, none at the end; `write(stream, data)` gets "stdout" or
        "stderr", and the command is held back while it works. With *terminal* it runs on a terminal. Raises
        NetworkFailure when its end is not known: a network that pauses for less than 90 s is outlasted.
        """
        if terminal is None:
            body = make_body(command, stdin=read is not None, container=container, replica=replica)
            return await execute(self._account, name, body, read, write, VisitProgress(), self._journal())
        typed = make_terminal_body(command, terminal.size(), container=container, replica=replica)
        return await execute(
            self._account, name, typed, read, write, VisitProgress(), self._journal(), terminal
        )

    async def copy(
        self,
        source: str | Path,
        target: str | Path,
        *,
        container: str | None = None,
        replica: str | None = None,
    ) -> CopyResult:
        """Copy a file or folder out of a pod that runs, or into it: one of the two is a `NAME:/path`.

        Raises Refused (rule `no-tar`) where the container has no tar, and as docs/cli.md says of `cp`.
        """
        where = CopyOptions(container, replica)
        return await copy(self._account, str(source), str(target), where, VisitProgress(), self._journal())

    @asynccontextmanager
    async def follow_logs(
        self,
        name: str,
        *,
        container: str | None = None,
        tail: int = 100,
        since_s: int | None = None,
    ) -> AsyncIterator[LogFeed]:
        """`async with` this, then `async for`: lines of all replicas of the pod as they come.

        First the last *tail* (0 to 10000) of each container, with *since_s* of so many last seconds. The
        stream goes on over restarts, updates and a sleep, and ends with the pod. A connection that is lost is
        made again behind the last line. Raises Refused as `logs` does, and NetworkFailure, into the block
        too, when the provider is gone for 90 s.
        """
        options = FollowOptions(container, tail, since_s)
        async with follow_logs(self._account, name, options, VisitProgress(), self._journal()) as feed:
            yield feed

    @asynccontextmanager
    async def port_forward(
        self,
        name: str,
        ports: Sequence[str],
        *,
        service: str | None = None,
        replica: str | None = None,
    ) -> AsyncIterator[ForwardResult]:
        """`async with` this: *ports*, each `[LOCAL:]PORT`, are reached at this machine's 127.0.0.1.

        The result's `ports` say where. Raises Refused (rule `forward-port`) for one that the pod does not
        declare, `Locked` where somebody else listens, and NetworkFailure, into the block too, when the
        provider is gone.
        """
        pairs = parse_ports(ports)
        async with port_forward(
            self._account, name, pairs, VisitProgress(), self._journal(), service=service, replica=replica
        ) as forwarded:
            yield forwarded
