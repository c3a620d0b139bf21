# SPDX-License-Identifier: Apache-2.0
"""One session at the instance that has it: a process of MPyC, and its connections to the two other nodes."""

import asyncio
import json
import socket
import sys
from pathlib import Path

from connections import PeerTls, Streams, call, relay

PARTY = Path(__file__).resolve().parent / "party.py"
LOOPBACK = "127.0.0.1"
OPEN_S = 60.0
"""Until all three parties are there: their clients ask side by side, and a process starts in seconds."""

ANSWER_S = 30.0
"""One key or signature: three rounds between nodes."""

LINE_LIMIT = 2**18


class SessionLost(Exception):
    """A party of it is gone: what was in memory is gone with it."""


class Refused(Exception):
    """What the parties do not do together; the session goes on."""


class Session:
    """It lives as long as all its connections do."""

    def __init__(self, name: str, own: int, peers: dict[int, tuple[str, int]], tls: PeerTls) -> None:
        self.name, self._own, self._peers, self._tls = name, own, peers, tls
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()
        self._carried: set[asyncio.Task[None]] = set()
        self._servers: list[asyncio.Server] = []
        self._port = _free_port()
        self.lost = False

    async def begin(self) -> None:
        """All parties are connected; SessionLost where they are not in time."""
        try:
            async with asyncio.timeout(OPEN_S):
                ports = {node: await self._way_to(node) for node in self._peers if node > self._own}
                await self._start(ports)
                await self._said()
        except TimeoutError as late:
            self.end()
            raise SessionLost(f"the other nodes did not come within {OPEN_S:.0f} s") from late
        except SessionLost:
            self.end()
            raise

    async def do(self, **asked: str) -> dict[str, str]:
        """What the three parties make of it; Refused, or SessionLost where one of them is gone."""
        async with self._turn:
            if self.lost or self._process is None or self._process.stdin is None:
                raise SessionLost("a node that took part is gone")
            try:
                self._process.stdin.write(json.dumps(asked).encode() + b"\n")
                async with asyncio.timeout(ANSWER_S):
                    made = await self._said()
            except (OSError, TimeoutError) as gone:
                self.end()
                raise SessionLost("the other nodes did not answer") from gone
        if "refused" in made:
            raise Refused(made["refused"])
        return made

    async def take_call(self, ends: Streams) -> bool:
        """Lead a lower node's connection to the party; False while that is not there."""
        if self.lost or self._process is None:
            return False
        try:
            party = await asyncio.open_connection(LOOPBACK, self._port)
        except OSError:
            return False
        ends[1].write(b"here\n")
        self._carry(ends, party)
        return True

    def end(self) -> None:
        """Its process and its connections; the other nodes see that they end."""
        self.lost = True
        for server in self._servers:
            server.close()
        for task in self._carried:
            task.cancel()
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def _way_to(self, node: int) -> int:
        """A port here that leads to the node's party, which is there before the port is."""
        ends = await call(self._tls, *self._peers[node], self.name, self._own)

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._carry(ends, (reader, writer))

        server = await asyncio.start_server(connected, LOOPBACK, 0)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def _start(self, ports: dict[int, int]) -> None:
        everybody = sorted([self._own, *self._peers])
        words = [word for node in everybody for word in ("-P", f"{LOOPBACK}:{ports.get(node, self._port)}")]
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, str(PARTY), *words, "-I", str(everybody.index(self._own)), "--no-log",
            stdin=pipe, stdout=pipe, limit=LINE_LIMIT,
        )  # fmt: skip

    async def _said(self) -> dict[str, str]:
        assert self._process is not None
        assert self._process.stdout is not None
        if not (line := await self._process.stdout.readline()):
            raise SessionLost("a node that took part is gone")
        return dict(json.loads(line))

    def _carry(self, one: Streams, other: Streams) -> None:
        task = asyncio.create_task(relay(one, other))
        self._carried.add(task)
        task.add_done_callback(lambda _: self.end())


def _free_port() -> int:
    """Of this container; MPyC listens there."""
    with socket.socket() as found:
        found.bind((LOOPBACK, 0))
        return int(found.getsockname()[1])
