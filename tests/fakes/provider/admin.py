# SPDX-License-Identifier: Apache-2.0
"""The admin socket as JSON lines, without our own client: what operators' programs send and see."""

import json

import trio

from trustedpods.protocol.errors import error_from_wire


async def send_line(path, line):
    """The reply to *line*, whatever it is, as JSON."""
    async with await trio.open_unix_socket(str(path)) as stream:
        await stream.send_all(line)
        await stream.send_eof()
        reply = b"".join([data async for data in stream])
    assert reply.endswith(b"\n")
    return json.loads(reply)


async def admin_json(path, question):
    """The answer to a question; the daemon's own error is raised."""
    reply = await send_line(path, json.dumps(question).encode() + b"\n")
    if "error" in reply:
        error = reply["error"]
        raise error_from_wire(*(error.get(key) for key in ("code", "what", "where", "hint", "rule")))
    return reply["ok"]
