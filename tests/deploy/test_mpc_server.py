# SPDX-License-Identifier: Apache-2.0
"""Clients' requests to a node of the mpc image: taken whole and bounded, or refused with the reason."""

import asyncio
import json
import socket

import pytest

from tests.fakes.images.mpc_image import http_server

LONG = "x" * (http_server.NAME_LIMIT + 1)


async def told(request: bytes) -> tuple[int, dict[str, str]]:
    """Status and answer to what a client sends; an understood request comes back as it was understood."""

    async def answer(asked: http_server.Request) -> dict[str, str]:
        return {"path": asked.path, "session": asked.session, "key": asked.key, "word": asked.word("word")}

    server = await http_server.serve_http(0, answer)
    (port,) = [one.getsockname()[1] for one in server.sockets if one.family == socket.AF_INET]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    said = await reader.read()
    writer.close()
    server.close()
    head, _, body = said.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def request(body: bytes, *headers: str) -> bytes:
    lines = ["POST /sign HTTP/1.1", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def test_a_request_is_understood() -> None:
    sent = request(b'{"word": "wallet"}', "session: one", "AUTHORIZATION: Bearer key")
    expected = {"path": "/sign", "session": "one", "key": "Bearer key", "word": "wallet"}
    assert asyncio.run(told(sent)) == (200, expected)


@pytest.mark.parametrize(
    ("sent", "status", "why"),
    [
        (b"hello\r\n\r\n", 400, "no request of HTTP"),
        (request(b"{"), 400, "no JSON"),
        (request(b"[]"), 400, "no object"),
        (request(b"{}"), 400, "give word"),
        (request(json.dumps({"word": LONG}).encode()), 400, "give word"),
        (request(b"{}", f"Session: {LONG}"), 400, "session's name"),
        (f"POST / HTTP/1.1\r\nContent-Length: {http_server.BODY_LIMIT + 1}\r\n\r\n".encode(), 413, "body"),
        ("POST / HTTP/1.1\r\nContent-Length: \u00b2\r\n\r\n".encode("latin-1"), 413, "body"),
        (b"x" * (http_server.HEAD_LIMIT + 1), 400, "did not come whole"),
    ],
)
def test_what_is_none_is_refused_with_the_reason(sent: bytes, status: int, why: str) -> None:
    said, answer = asyncio.run(told(sent))
    assert (said, why in answer["error"]) == (status, True), answer
