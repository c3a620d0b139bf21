# SPDX-License-Identifier: Apache-2.0
"""Answers of the API server that go on: watches and followed logs.

Written on h11 and not on httpx, whose streams are nested async generators that trio rightly
complains about when a reader leaves before the end, and leaving early is what watchers do.
"""

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Self

import h11
import httpx
import trio

from trustedpods.protocol.errors import RemoteProtocolError
from trustedpods.provider.cluster.api import errors, kubeconfig

OPEN_TIMEOUT_S = 15.0
"""From dialling to the first byte of the answer."""

MAX_LINE = 8 * 1024 * 1024
"""An object in etcd has at most 1.5 MiB."""

_READ = 64 * 1024


class Chunks:
    """The body of an answer, as it comes; ends when the server ends it.

    Raises NetworkFailure after *silence* seconds without a byte, if *silence* is given.
    """

    def __init__(self, stream: trio.abc.Stream, silence: float | None, where: str) -> None:
        self._stream = stream
        self._silence = silence
        self._where = where
        self._http = h11.Connection(h11.CLIENT)

    async def ask(self, url: httpx.URL, headers: Mapping[str, str]) -> None:
        """Send the request and read the head of the answer; what is not 200 becomes an error."""
        fields = [("host", url.netloc.decode()), ("accept", "application/json"), *headers.items()]
        request = h11.Request(method="GET", target=url.raw_path, headers=fields)
        try:
            with trio.fail_after(OPEN_TIMEOUT_S):
                await self._stream.send_all(self._http.send(request) + self._http.send(h11.EndOfMessage()))
                head = await self._event()
                assert isinstance(head, h11.Response)
                if head.status_code != 200:
                    body = b"".join([chunk async for chunk in self])
                    raise errors.from_answer(head.status_code, body, self._where)
        except errors.TRANSPORT as error:
            raise errors.from_transport(error, self._where) from error

    def __aiter__(self) -> Self:
        """The body is read once."""
        return self

    async def __anext__(self) -> bytes:
        """The next piece of the body."""
        try:
            event = await self._event()
        except errors.TRANSPORT as error:
            raise errors.from_transport(error, self._where) from error
        if isinstance(event, h11.Data):
            return bytes(event.data)
        raise StopAsyncIteration

    async def _event(self) -> h11.Response | h11.Data | h11.EndOfMessage:
        while True:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                raise RemoteProtocolError(f"broken answer: {error}", where=self._where) from error
            if isinstance(event, h11.Response | h11.Data | h11.EndOfMessage):
                return event
            if event is h11.NEED_DATA:
                self._http.receive_data(await self._bytes())
            elif not isinstance(event, h11.InformationalResponse):
                raise RemoteProtocolError(f"unexpected in an answer: {event!r}", where=self._where)

    async def _bytes(self) -> bytes:
        if self._silence is None:
            return await self._stream.receive_some(_READ)
        with trio.fail_after(self._silence):
            return await self._stream.receive_some(_READ)


class Lines:
    """Puts chunks together to lines, of *most* bytes each."""

    def __init__(self, most: int = MAX_LINE) -> None:
        self._most = most
        self._rest = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that *chunk* completes; RemoteProtocolError for one that does not end."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) > self._most:
            raise RemoteProtocolError(f"a line of more than {self._most} bytes")
        return lines


@asynccontextmanager
async def open_stream(
    access: kubeconfig.Access, path: str, query: Mapping[str, str], silence: float | None
) -> AsyncIterator[Chunks]:
    """The answer to GET *path*, on a connection of its own that is closed on leaving."""
    where = f"kubernetes GET {path}"
    url = httpx.URL(access.server + path, params=dict(query))
    headers = await access.headers()
    try:
        with trio.fail_after(OPEN_TIMEOUT_S):
            stream = await connect(url, access.tls)
    except errors.TRANSPORT as error:
        raise errors.from_transport(error, where) from error
    try:
        chunks = Chunks(stream, silence, where)
        await chunks.ask(url, headers)
        yield chunks
    finally:
        await trio.aclose_forcefully(stream)


async def connect(url: httpx.URL, tls: ssl.SSLContext | bool) -> trio.abc.Stream:
    """A connection of its own to the server of *url*; raises what `errors.TRANSPORT` lists."""
    if isinstance(tls, ssl.SSLContext):
        return await trio.open_ssl_over_tcp_stream(
            url.host, url.port or 443, ssl_context=tls, https_compatible=True
        )
    return await trio.open_tcp_stream(url.host, url.port or 80)
