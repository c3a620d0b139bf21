# SPDX-License-Identifier: Apache-2.0
"""Connections between instances of different nodes: TLS both ways, by keys of the address book.

Who calls says in a line which session he wants. Behind a node's one address are several instances, and the
connection comes to any of them: one that does not have the session says so, and the caller tries again.
"""

import asyncio
import json
import ssl
from pathlib import Path
from typing import TypeAlias

LINE_S = 10.0
"""A line of a few bytes takes no longer on the slowest link."""

PAUSE_S = 0.2
"""Between two tries: the other node's client asks it at about the same time."""

PIECE = 65536

Streams: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class PeerTls:
    """The node's own certificate, and those of the nodes that it calls; read anew each time: files change."""

    def __init__(self, own: Path, peers: Path) -> None:
        self._own, self._peers = own, peers

    def context(self, *, serving: bool) -> ssl.SSLContext:
        """Of a server or of a client; both show who they are. OSError while a file is not there."""
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if serving else ssl.PROTOCOL_TLS_CLIENT)
        made.verify_mode = ssl.CERT_REQUIRED
        made.load_cert_chain(self._own / "tls.pem", self._own / "tls.key")
        made.load_verify_locations(self._peers)
        return made


def caller_names(writer: asyncio.StreamWriter) -> list[str]:
    """The names in the certificate of whoever called."""
    certificate = writer.get_extra_info("peercert") or {}
    return [value for kind, value in certificate.get("subjectAltName", ()) if kind == "DNS"]


async def requested_session(reader: asyncio.StreamReader) -> tuple[str, int]:
    """What the caller wants: a session, as which node. ValueError where he says something else."""
    told = json.loads(await asyncio.wait_for(reader.readline(), LINE_S))
    if (
        not isinstance(told, dict)
        or not isinstance(told.get("session"), str)
        or type(told.get("node")) is not int
    ):
        raise ValueError("no session is asked for")
    return told["session"], told["node"]


async def call(tls: PeerTls, host: str, port: int, session: str, own: int) -> Streams:
    """A connection to whichever instance of the other node has *session*; it is cancelled from outside."""
    question = json.dumps({"session": session, "node": own}).encode() + b"\n"
    while True:
        try:
            context = tls.context(serving=False)
            reader, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=host)
        except OSError:
            await asyncio.sleep(PAUSE_S)
            continue
        try:
            writer.write(question)
            said = await asyncio.wait_for(reader.readline(), LINE_S)
        except (OSError, TimeoutError):
            said = b""
        if said == b"here\n":
            return reader, writer
        writer.close()
        await asyncio.sleep(PAUSE_S)


async def relay(one: Streams, other: Streams) -> None:
    """Carry bytes both ways until one side ends; then both are closed."""
    copies = [
        asyncio.create_task(_copy(one[0], other[1])),
        asyncio.create_task(_copy(other[0], one[1])),
    ]
    try:
        await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for copy in copies:
            copy.cancel()
        for writer in (one[1], other[1]):
            writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(PIECE):
            writer.write(piece)
            await writer.drain()
    except OSError:
        return
