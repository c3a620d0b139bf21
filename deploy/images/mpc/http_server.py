# SPDX-License-Identifier: Apache-2.0
"""HTTP/1.1 as far as a client of the node needs it: one request a connection, JSON both ways."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import psycopg

HEAD_LIMIT = 16384
BODY_LIMIT = 2**18
REQUEST_S = 15.0
"""Until a request is here whole."""

MESSAGE_LIMIT = 2**16
NAME_LIMIT = 128


class Problem(Exception):
    """Why not, with the answer's status."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


@dataclass(frozen=True)
class Request:
    """What is asked, by whom, in which session."""

    path: str
    session: str
    key: str
    body: dict[str, object]

    def word(self, name: str) -> str:
        """A short text of the body; Problem where it is not there."""
        found = self.body.get(name)
        if not isinstance(found, str) or not 0 < len(found) <= NAME_LIMIT:
            raise Problem(400, f"give {name}, a text of up to {NAME_LIMIT} characters")
        return found

    def hex_word(self, name: str) -> str:
        """Bytes in hex of the body; Problem where they are not there."""
        found = self.body.get(name)
        try:
            if isinstance(found, str) and len(bytes.fromhex(found)) <= MESSAGE_LIMIT:
                return found
        except ValueError:
            pass
        raise Problem(400, f"give {name}, up to {MESSAGE_LIMIT} bytes in hex")


async def read(reader: asyncio.StreamReader) -> Request:
    """The next request; Problem where it is none."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    words = head[0].split(" ")
    if len(words) != 3:
        raise Problem(400, "no request of HTTP")
    pairs = [line.partition(":") for line in head[1:] if line]
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    length = headers.get("content-length", "0")
    if not length.isascii() or not length.isdigit() or int(length) > BODY_LIMIT:
        raise Problem(413, f"a body has up to {BODY_LIMIT} bytes, and says how many")
    try:
        body = json.loads(await reader.readexactly(int(length)) or b"{}")
    except ValueError as error:
        raise Problem(400, "the body is no JSON") from error
    if not isinstance(body, dict):
        raise Problem(400, "the body is no object")
    session = headers.get("session", "")
    if len(session) > NAME_LIMIT:
        raise Problem(400, f"a session's name has up to {NAME_LIMIT} characters")
    return Request(words[1], session, headers.get("authorization", ""), body)


async def serve_http(port: int, answer: Callable[[Request], Awaitable[dict[str, str]]]) -> asyncio.Server:
    """Listen; what *answer* refuses goes back with its status."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            status, told = await _answered(reader, answer)
            body = json.dumps(told).encode()
            head = (
                f"HTTP/1.1 {status} {'OK' if status == 200 else 'No'}\r\nContent-Type: application/json\r\n"
            )
            head += f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            writer.write(head.encode() + body)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client is gone
        finally:
            writer.close()

    return await asyncio.start_server(connected, None, port, limit=HEAD_LIMIT)


async def _answered(
    reader: asyncio.StreamReader, answer: Callable[[Request], Awaitable[dict[str, str]]]
) -> tuple[int, dict[str, str]]:
    try:
        request = await asyncio.wait_for(read(reader), REQUEST_S)
        return 200, await answer(request)
    except Problem as problem:
        return problem.status, {"error": problem.text}
    except (TimeoutError, asyncio.LimitOverrunError):
        return 400, {"error": "the request did not come whole"}
    except psycopg.Error as error:
        sys.stderr.write(f"the node's database: {error}\n")
        return 503, {"error": "the node's database does not answer; ask again"}
