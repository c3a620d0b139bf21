# SPDX-License-Identifier: Apache-2.0
"""What ends a command's streams in time, and how."""

from types import SimpleNamespace

import pytest
import trio

from tests.fakes.commands import FakeCommand
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.messages.exec import TerminalBody, TerminalSize
from trustedpods.provider.server.exec_streams import CommandStreams


async def test_a_limit_of_time_breaks_off_no_send():
    """A send that is cancelled spoils the stream: its client would read that it was cut, and not why."""
    begun, whole = trio.Event(), []

    async def silence(*_):
        await trio.sleep_forever()

    async def carried(*_total):
        await trio.lowlevel.checkpoint()

    async def send(message):
        begun.set()
        await trio.sleep(0.3)  # longer than the limit
        whole.append(message)

    async def talk(command):
        await command.write(b"x")
        await trio.sleep_forever()

    body = TerminalBody(command=["talk"], input_key=bytes(32), size=TerminalSize(columns=1, rows=1))
    stream = SimpleNamespace(receive=silence)
    asked = SimpleNamespace(
        replies=SimpleNamespace(stream=stream, send=send), opened=SimpleNamespace(digest=b"d")
    )
    command = FakeCommand(["talk"], ("ns", "pod", "web"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(talk, command)
        with pytest.raises(Refused) as caught:
            await CommandStreams(asked, body, command, carried, longest_s=0.1).run()
        nursery.cancel_scope.cancel()
    assert caught.value.rule == "too-long"
    assert begun.is_set()
    assert len(whole) == 1
