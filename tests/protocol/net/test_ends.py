# SPDX-License-Identifier: Apache-2.0
# mypy: disable-error-code="attr-defined"
"""How a stream stopped: an end, a reset and a lost connection are three things, wherever they come."""

import pytest
import trio

from tests.protocol.net import peers
from tests.protocol.net.test_hardening import _opened
from trustedpods.protocol.errors import NetworkFailure
from trustedpods.protocol.frames import frame
from trustedpods.protocol.net import FrameStream, open_host
from trustedpods.protocol.protocol_ids import PROVIDER

LIMIT = 100_000
SENT = {
    "nothing": b"",
    "a frame": frame(b"x" * 50),
    "a large frame": frame(bytes(70_000)),
    "part of one": frame(bytes(60))[:-1],
}
WHOLE = {"a frame": b"x" * 50, "a large frame": bytes(70_000)}


async def end(_muxer, stream) -> None:
    await stream.close()


async def reset(_muxer, stream) -> None:
    await stream.reset()


async def lose(muxer, _stream) -> None:
    muxer.abort()


async def end_then_lose(muxer, stream) -> None:
    await stream.close()
    await muxer.finish()


async def end_then_reset(_muxer, stream) -> None:
    await stream.close()
    await stream.reset()


RULES = {
    end: {"end"},
    reset: {"reset"},
    lose: {"gone"},
    end_then_lose: {"end", "gone"},
    end_then_reset: {"end", "reset"},
}
"""What the reader may be told. After an end and more, the end counts where everything was read."""


@pytest.mark.parametrize("waits", [True, False], ids=["reads at once", "reads late"])
@pytest.mark.parametrize("how", list(RULES), ids=lambda how: how.__name__)
@pytest.mark.parametrize("sent", list(SENT))
async def test_a_reader_is_told_how_a_stream_stopped(sent, how, waits):
    told = []
    stopped = trio.Event()

    async def handler(stream: FrameStream) -> None:
        if not waits:
            await stopped.wait()
        try:
            while True:
                told.append(await stream.receive(LIMIT))
        except NetworkFailure as error:
            told.append(error)

    async with open_host(None, peers.LOOPBACK) as host:
        host.serve(PROVIDER, handler)
        async with peers.muxer(host.addresses[0]) as muxer:
            stream = await _opened(muxer)
            await stream.write(SENT[sent])
            if waits and sent in WHOLE:
                await peers.eventually(lambda: bool(told))
            await how(muxer, stream)
            if not waits:
                await trio.sleep(0.1)  # what it did arrives; later is the other case
                stopped.set()
            await peers.eventually(lambda: bool(told) and isinstance(told[-1], NetworkFailure))
    *frames, error = told
    if error.rule == "end" or (waits and sent in WHOLE):
        assert frames == ([WHOLE[sent]] if sent in WHOLE else [])
    expected = {"cut" if rule == "end" and sent == "part of one" else rule for rule in RULES[how]}
    assert error.rule in expected


async def test_a_dialler_is_told_the_same_of_the_host():
    async def handler(stream: FrameStream) -> None:
        if await stream.receive(100) == b"throw it away":
            await stream.reset()
        else:
            await stream.send(b"last")

    async with open_host(None, peers.LOOPBACK) as host, open_host(None, []) as client:
        host.serve(PROVIDER, handler)
        async with client.dial(host.addresses[0]) as connection:
            for asked, rule in ((b"throw it away", "reset"), (b"go on", "end")):
                async with connection.stream(PROVIDER) as stream:
                    await stream.send(asked)
                    if rule == "end":
                        assert await stream.receive(100) == b"last"
                    for _ in range(2):
                        with pytest.raises(NetworkFailure) as caught:
                            await stream.receive(100)
                        assert caught.value.rule == rule
