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
from time import monotonic

import psycopg
from connections import LINE_S, PeerTls, Streams, caller_names, requested_session
from database import Database
from http_server import Problem, Request, serve_http
from recognition import Recognition
from session import Refused, Session, SessionLost

SDK_PORT, MPC_PORT = 8080, 9000
MOST_SESSIONS = 8
"""At once: each is a process of 25 MiB, and the example gives an instance 256 MiB."""

DATABASE_LIMITS = "connect_timeout=5 tcp_user_timeout=10000"
"""Seconds, and milliseconds: a database that went without a word holds no question longer."""

BACKLOG = 128
"""Connections that wait to be accepted: a caller who finds no room tries again anyway."""

TLS_LOOK_S = 1.0
"""Between two looks for the certificates, which may come after the start."""


class Instance:
    """All sessions that this process has."""

    def __init__(self, own: int, peers: dict[int, tuple[str, int]], tls: PeerTls, database: Database) -> None:
        self.recognition = Recognition(own, peers, tls)
        self.name = f"{socket.gethostname()}-{secrets.token_hex(4)}"
        self._own, self._peers, self._tls, self._database = own, peers, tls, database
        self._sessions: dict[str, Session] = {}

    async def answer(self, request: Request, key: str) -> dict[str, str]:
        """What a client asks; Problem where that cannot be."""
        if request.path == "/ready":
            # Not of the database: sessions that are here stay here while that is away.
            if self.recognition.refused(monotonic()):
                raise Problem(503, "the other nodes do not take this one's certificate; send them its export")
            return {"instance": self.name}
        if not hmac.compare_digest(request.key.encode(), f"Bearer {key}".encode()):
            raise Problem(401, "say the network's key: Authorization: Bearer KEY")
        if not request.session:
            raise Problem(400, "name a session in the header Session")
        try:
            return {**await self._done(request), "instance": self.name}
        except SessionLost as lost:
            raise Problem(410, f"session {request.session} is lost: {lost}; begin another") from lost
        except Refused as no:
            raise Problem(409, str(no)) from no

    async def _done(self, request: Request) -> dict[str, str]:
        if request.path == "/open":
            return await self._open(request.session)
        if request.path == "/close":
            return await self._close(request.session)
        session = await self._own_session(request.session)
        if request.path == "/key":
            return await self._make_key(session, request.word("key"))
        if request.path == "/sign":
            return await self._sign(session, request.word("key"), request.hex_word("message"))
        raise Problem(404, "ask for /open, /key, /sign or /close")

    async def _make_key(self, session: Session, name: str) -> dict[str, str]:
        made = await session.do(do="key", name=name)
        try:
            await self._database.keep_key(name, made["share"], made["public"])
        except psycopg.errors.UniqueViolation as there:
            raise Problem(409, f"there is a key {name}") from there
        return {"public": made["public"]}

    async def _sign(self, session: Session, name: str, message: str) -> dict[str, str]:
        found = await self._database.key(name)
        if found is None:
            raise Problem(404, f"there is no key {name}")
        share, public = found
        return await session.do(do="sign", share=share, public=public, message=message)

    async def _open(self, name: str) -> dict[str, str]:
        if name in self._sessions:
            raise Problem(409, f"session {name} is open already")
        # That a lost one is lost the database says too.
        self._sessions = {known: one for known, one in self._sessions.items() if not one.lost}
        if len(self._sessions) >= MOST_SESSIONS:
            raise Problem(503, f"{MOST_SESSIONS} sessions are open here; close one")
        # Before anything is waited for, so that of two who open it at once one is told so.
        self._sessions[name] = session = Session(name, self._own, self._peers, self._tls)
        try:
            holder = await self._database.take(name, self.name)
        except psycopg.Error:
            self._sessions.pop(name, None)
            raise
        if holder != self.name:
            self._sessions.pop(name, None)
            raise SessionLost(f"{holder} has or had it")
        await session.begin()
        return {}

    async def _close(self, name: str) -> dict[str, str]:
        """Also of one that is lost here, as it is when another node closed it before."""
        session = self._sessions.pop(name, None)
        if session is not None:
            session.end()
        elif (holder := await self._holder(name)) != self.name:
            raise SessionLost(f"{holder} has or had it")
        await self._database.forget(name)
        return {}

    async def _own_session(self, name: str) -> Session:
        if name in self._sessions:
            return self._sessions[name]
        raise SessionLost(f"{await self._holder(name)} has or had it")

    async def _holder(self, name: str) -> str:
        holder = await self._database.holder(name)
        if holder is None:
            raise Problem(404, f"there is no session {name}; open it")
        return holder

    async def take_call(self, ends: Streams) -> None:
        """Another node's instance: led to the session that it asks for, or told where that is not."""
        reader, writer = ends
        try:
            name, node = await requested_session(reader)
            peer = self._peers.get(node)
            known = peer is not None and peer[0] in caller_names(writer)
            session = self._sessions.get(name) if known else None
            if session is not None and await session.take_call(ends):
                return
            # A greeting names none, and is answered whatever the database does.
            holder = await self._database.holder(name) if known and name else None
            writer.write(b"wait\n" if holder in (None, self.name) else b"elsewhere\n")
            await asyncio.wait_for(writer.drain(), LINE_S)
        except (OSError, TimeoutError, ValueError, psycopg.Error):
            pass  # whoever called tries again
        writer.close()

    def end(self) -> None:
        """All its sessions."""
        for session in self._sessions.values():
            session.end()


def peers(text: str) -> dict[int, tuple[str, int]]:
    """The other nodes, by their numbers, of `NUMBER=HOST:PORT` with commas between."""
    found = {}
    for peer in text.split(","):
        number, _, address = peer.partition("=")
        host, _, port = address.rpartition(":")
        found[int(number)] = host, int(port)
    return found


async def main() -> None:
    """Serve until SIGTERM; sessions end with the instance."""
    own, keys = int(os.environ["NODE"]), Path(os.environ["KEYS"])
    tls = PeerTls(Path(os.environ["TLS"]), Path(os.environ["PEERS_CA"]))
    password = (keys / "password").read_text().strip()
    database = Database(f"{os.environ['DATABASE']} password={password} {DATABASE_LIMITS}")
    instance = Instance(own, peers(os.environ["PEERS"]), tls, database)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    api_key = (keys / "api-key").read_text().strip()
    sdk = await serve_http(
        int(os.environ.get("SDK_PORT", SDK_PORT)), lambda asked: instance.answer(asked, api_key)
    )
    mpc = await served_peers(instance, tls, int(os.environ.get("MPC_PORT", MPC_PORT)), stop)
    greetings = asyncio.create_task(instance.recognition.keep_asking())
    await stop.wait()
    greetings.cancel()
    for server in (sdk, mpc):
        if server is not None:
            server.close()
    instance.end()


async def served_peers(
    instance: Instance, tls: PeerTls, port: int, stop: asyncio.Event
) -> asyncio.Server | None:
    """The way in for other nodes, from when the certificates are there; None where it is stopped before.

    Trust is read anew for each connection: a node whose key becomes known later gets in without a restart.
    """
    while not stop.is_set():
        with suppress(OSError):
            return await _served(instance, tls, port)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), TLS_LOOK_S)
    return None


async def _served(instance: Instance, tls: PeerTls, port: int) -> asyncio.Server:
    context = tls.context(serving=True)

    def renewed(handle: object, name: str | None, here: object) -> None:
        del name
        with suppress(OSError):
            handle.context = tls.context(serving=True)  # type: ignore[attr-defined]

    context.sni_callback = renewed
    return await asyncio.start_server(
        lambda reader, writer: instance.take_call((reader, writer)), None, port, ssl=context, backlog=BACKLOG
    )


if __name__ == "__main__":
    asyncio.run(main())
