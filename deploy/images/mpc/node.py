# SPDX-License-Identifier: Apache-2.0
"""One instance of a signing node: clients' sessions over HTTP, other nodes' instances over TLS.

A session is in the memory of one instance, and the node's PostgreSQL says of which. Whoever asks another
instance for it is told that it is gone (410). Settings are variables of the environment, as in the example.
"""

import asyncio
import hmac
import os
import secrets
import signal
import socket
from contextlib import suppress
from pathlib import Path

import psycopg
from database import Database
from http_door import Problem, Request, serve_http
from links import LINE_S, Trust, asked_session, caller, type_of_ends
from session import Session, SessionLost

SDK_PORT, MPC_PORT = 8080, 9000
MOST_SESSIONS = 16
"""At once: each is a process of 25 MiB."""

TIMES = "connect_timeout=5 tcp_user_timeout=10000"
"""Seconds, and milliseconds: a database that went without a word holds no question longer."""

BEHIND = 128


class Instance:
    """All sessions that this process has."""

    def __init__(self, own: int, peers: dict[int, tuple[str, int]], trust: Trust, database: Database) -> None:
        self.name = f"{socket.gethostname()}-{secrets.token_hex(4)}"
        self._own, self._peers, self._trust, self._database = own, peers, trust, database
        self._sessions: dict[str, Session] = {}

    async def answer(self, request: Request, key: str) -> dict[str, str]:
        """What a client asks; Problem where that cannot be."""
        if request.path == "/ready":
            # Not of the database: sessions that are here stay here while that is away.
            return {"instance": self.name}
        if not hmac.compare_digest(request.key.encode(), f"Bearer {key}".encode()):
            raise Problem(401, "say the network's key: Authorization: Bearer KEY")
        if not request.session:
            raise Problem(400, "name a session in the header Session")
        try:
            return {**await self._done(request), "instance": self.name}
        except SessionLost as lost:
            raise Problem(410, f"session {request.session} is lost: {lost}; begin another") from lost

    async def _done(self, request: Request) -> dict[str, str]:
        if request.path == "/open":
            return await self._open(request.session)
        session = await self._own_session(request.session)
        if request.path == "/key":
            made = await session.do(do="key")
            try:
                await self._database.keep_key(request.word("key"), made["share"], made["public"])
            except psycopg.errors.UniqueViolation as there:
                raise Problem(409, f"there is a key {request.word('key')}") from there
            return {"public": made["public"]}
        if request.path == "/sign":
            found = await self._database.key(request.word("key"))
            if found is None:
                raise Problem(404, f"there is no key {request.word('key')}")
            share, public = found
            return await session.do(
                do="sign", share=share, public=public, message=request.hex_word("message")
            )
        if request.path == "/close":
            del self._sessions[session.name]
            session.end()
            await self._database.forget(session.name)
            return {}
        raise Problem(404, "ask for /open, /key, /sign or /close")

    async def _open(self, name: str) -> dict[str, str]:
        if name in self._sessions:
            raise Problem(409, f"session {name} is open already")
        if sum(not one.lost for one in self._sessions.values()) >= MOST_SESSIONS:
            raise Problem(503, f"{MOST_SESSIONS} sessions are open here; close one")
        # Before anything is waited for, so that of two who open it at once one is told so.
        self._sessions[name] = session = Session(name, self._own, self._peers, self._trust)
        try:
            holder = await self._database.take(name, self.name)
        except psycopg.Error:
            del self._sessions[name]
            raise
        if holder != self.name:
            del self._sessions[name]
            raise SessionLost(f"it is of {holder}")
        await session.begin()
        return {}

    async def _own_session(self, name: str) -> Session:
        if name in self._sessions:
            return self._sessions[name]
        holder = await self._database.holder(name)
        if holder is None:
            raise Problem(404, f"there is no session {name}; open it")
        raise SessionLost(f"it is of {holder}")

    async def take_call(self, ends: type_of_ends) -> None:
        """Another node's instance: led to the session that it asks for, or told where that is not."""
        reader, writer = ends
        try:
            name, node = await asked_session(reader)
            peer = self._peers.get(node)
            known = peer is not None and peer[0] in caller(writer)
            session = self._sessions.get(name) if known else None
            if session is not None and await session.take_call(ends):
                return
            holder = await self._database.holder(name) if known else None
            writer.write(b"wait\n" if holder in (None, self.name) else b"elsewhere\n")
            await asyncio.wait_for(writer.drain(), LINE_S)
        except (OSError, TimeoutError, ValueError, psycopg.Error):
            pass  # whoever called tries again
        writer.close()

    def end(self) -> None:
        """All its sessions."""
        for session in self._sessions.values():
            session.end()


def peers(own: int, pattern: str) -> dict[int, tuple[str, int]]:
    """The other nodes: NODE in the pattern is their number."""
    found = {}
    for node in {1, 2, 3} - {own}:
        host, _, port = pattern.replace("NODE", str(node)).rpartition(":")
        found[node] = host, int(port)
    return found


async def main() -> None:
    """Serve until SIGTERM; sessions end with the instance."""
    own, keys = int(os.environ["NODE"].rpartition("-")[2]), Path(os.environ["KEYS"])
    trust = Trust(Path(os.environ["TLS"]), Path(os.environ["PEERS_CA"]))
    password = (keys / "password").read_text().strip()
    database = Database(f"{os.environ['DATABASE']} password={password} {TIMES}")
    instance = Instance(own, peers(own, os.environ["PEERS"]), trust, database)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    api_key = (keys / "api-key").read_text().strip()
    sdk = await serve_http(
        int(os.environ.get("SDK_PORT", SDK_PORT)), lambda asked: instance.answer(asked, api_key)
    )
    mpc = await served_links(instance, trust, int(os.environ.get("MPC_PORT", MPC_PORT)), stop)
    await stop.wait()
    for server in (sdk, mpc):
        if server is not None:
            server.close()
    instance.end()


async def served_links(
    instance: Instance, trust: Trust, port: int, stop: asyncio.Event
) -> asyncio.Server | None:
    """The way in for other nodes, from when the certificates are there; None where it is stopped before.

    Trust is read anew for each connection: a node whose key becomes known later gets in without a restart.
    """
    while not stop.is_set():
        with suppress(OSError):
            return await _served(instance, trust, port)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 1)
    return None


async def _served(instance: Instance, trust: Trust, port: int) -> asyncio.Server:
    context = trust.context(serving=True)

    def renewed(handle: object, name: str | None, here: object) -> None:
        del name
        with suppress(OSError):
            handle.context = trust.context(serving=True)  # type: ignore[attr-defined]

    context.sni_callback = renewed
    return await asyncio.start_server(
        lambda reader, writer: instance.take_call((reader, writer)), None, port, ssl=context, backlog=BEHIND
    )


if __name__ == "__main__":
    asyncio.run(main())
