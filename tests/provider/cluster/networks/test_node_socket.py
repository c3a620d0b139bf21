# SPDX-License-Identifier: Apache-2.0
"""One question to a program of the node: what it is told, and what is not waited for or kept."""

import pytest
import trio

from trustedpods.protocol.errors import NetworkFailure
from trustedpods.provider.cluster.networks.node_socket import NodeProgram

PROGRAM = NodeProgram("the echo", "echo", limit_s=1.0, most=8)


async def serve(path, answer, task_status=trio.TASK_STATUS_IGNORED):
    """Hands each connection to *answer*."""
    with trio.socket.socket(trio.socket.AF_UNIX) as listening:
        await listening.bind(str(path))
        listening.listen(1)
        task_status.started()
        while True:
            connection, _ = await listening.accept()
            async with trio.SocketStream(connection) as stream:
                await answer(stream)


async def echo(stream):
    await stream.send_all(b"said " + b"".join([data async for data in stream]))


async def greet(stream):
    await stream.send_all(b"hello")


async def flood(stream):
    await stream.send_all(bytes(PROGRAM.most + 1))


async def never(stream):
    await trio.sleep_forever()


@pytest.mark.parametrize(
    ("answer", "question", "said"), [(echo, b"abc", b"said abc"), (greet, None, b"hello")]
)
async def test_what_it_says_is_all_until_it_closes(tmp_path, nursery, answer, question, said):
    await nursery.start(serve, tmp_path / "s", answer)
    assert await PROGRAM.ask(tmp_path / "s", question) == said


async def test_too_much_is_no_answer(tmp_path, nursery):
    await nursery.start(serve, tmp_path / "s", flood)
    with pytest.raises(NetworkFailure, match="the echo does not answer: more than 8 bytes") as caught:
        await PROGRAM.ask(tmp_path / "s")
    assert caught.value.where == str(tmp_path / "s")
    assert "`echo`" in (caught.value.hint or "")


async def test_silence_is_no_answer(tmp_path, nursery, autojump_clock):
    await nursery.start(serve, tmp_path / "s", never)
    with pytest.raises(NetworkFailure, match="the echo does not answer"):
        await PROGRAM.ask(tmp_path / "s")
    assert trio.current_time() >= PROGRAM.limit_s


async def test_a_socket_that_is_not_there(tmp_path):
    with pytest.raises(NetworkFailure, match="the echo does not answer"):
        await PROGRAM.ask(tmp_path / "none", b"x")
