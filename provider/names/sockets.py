# SPDX-License-Identifier: Apache-2.0
"""Where pods' questions arrive: one address, UDP and TCP."""

import logging
from functools import partial
from typing import TYPE_CHECKING

import trio

from trustedpods.provider.dns.wire import MAX_QUESTION
from trustedpods.provider.names.resolver import PodResolver
from trustedpods.provider.names.talks import Talks

if TYPE_CHECKING:
    from trio_typing import TaskStatus

_log = logging.getLogger(__name__)

TALK_S = 10.0
"""For one connection of TCP, which carries one question."""


async def serve_names(
    resolver: PodResolver,
    host: str,
    port: int,
    *,
    task_status: "TaskStatus[None]" = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answer at *host* and *port* until cancelled; OSError where somebody else listens there."""
    with trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as made:
        await made.bind((host, port))
        async with trio.open_nursery() as nursery:
            talks = Talks(partial(_converse, resolver), TALK_S, EOFError)
            await nursery.start(partial(trio.serve_tcp, talks.talk, port, host=host))
            task_status.started()
            while True:
                data, sender = await made.recvfrom(MAX_QUESTION + 1)
                nursery.start_soon(_reply, resolver, made, data, sender)


async def _reply(
    resolver: PodResolver, made: trio.socket.SocketType, data: bytes, sender: tuple[str, int]
) -> None:
    answer = await resolver.reply(data, sender[0])
    if answer is not None:
        try:
            await made.sendto(answer, sender)
        except OSError as error:
            _log.info("an answer is not sent: %s", error)


async def _converse(resolver: PodResolver, stream: trio.SocketStream, sender: str) -> None:
    """One question, one answer."""
    size = int.from_bytes(await _exactly(stream, 2), "big")
    if not 0 < size <= MAX_QUESTION:
        return
    answer = await resolver.reply(await _exactly(stream, size), sender, tcp=True)
    if answer is not None:
        await stream.send_all(len(answer).to_bytes(2, "big") + answer)


async def _exactly(stream: trio.SocketStream, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = await stream.receive_some(size - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data
