# SPDX-License-Identifier: Apache-2.0
"""`exec` and `restart` at a `ProviderPeer`.

Of `exec` the daemon's own streams over a command of the test, or what no daemon says.
"""

from types import SimpleNamespace

import trio

from tests.fakes.commands import FakeCommands
from trustedpods.protocol.codec import decode
from trustedpods.protocol.errors import NetworkFailure, Refused
from trustedpods.protocol.messages.base import Progress
from trustedpods.protocol.messages.exec import (
    MAX_PIECE,
    WINDOW,
    ExecBody,
    ExecEnded,
    ExecOutput,
    ExecStarted,
    ExecTaken,
)
from trustedpods.protocol.messages.pod import RestartBody, RestartPlan
from trustedpods.provider.server.exec_streams import CommandStreams

REPLICA = {"cpu_milli": 100, "memory_mib": 64}


class PeerCommands(FakeCommands):
    async def _called(self, name):
        await trio.lowlevel.checkpoint()


async def cat(command):
    while (data := await command.read()) is not None:
        await command.write(data)
    return 0


async def fail(command):
    await command.write(b"out")
    await command.write(b"err\x1b[2J", "stderr")
    return int(command.words[1])


async def answer(faults, request, answers, programs):
    """One command: `cat`, `fail CODE`, or one of the test's own *programs*."""
    body = decode(request.body, ExecBody)
    await answers.send(ExecStarted(container=body.container or "hello", replica="pod-1"))
    if "floods" in faults:
        for _ in range(WINDOW // MAX_PIECE + 1):
            await answers.send(ExecOutput(stream="stdout", data=b"x" * MAX_PIECE))
        await trio.sleep_forever()
    if "floods-with-nothing" in faults:
        await answers.send(ExecOutput(stream="stdout", data=b""))
        await trio.sleep_forever()
    if "takes-nothing-sent" in faults:
        await answers.send(ExecTaken(total=1))
        await trio.sleep_forever()
    if "ends-twice" in faults:
        await answers.send(ExecEnded(exit_code=0))
    if "hangs-up-on-commands" in faults:
        await answers.stream.reset()
        raise NetworkFailure("as a test asked")

    async def carried(_into, _out):
        await trio.lowlevel.checkpoint()

    commands = PeerCommands({"cat": cat, "fail": fail} | programs)
    place = ("ns", body.replica or "pod-1", body.container or "hello")
    async with commands.exec(*place, body.command, stdin=body.stdin) as command:
        asked = SimpleNamespace(opened=request, replies=answers)
        code = await CommandStreams(asked, body, command, carried).run()
    await answers.send(ExecEnded(exit_code=code), final=True)


async def restart(peer, request, answers):
    """The bundle that was taken last starts anew, as its own next version."""
    if peer.phase != "serving":
        raise Refused(f"the pod is {peer.phase}", rule="not-serving")
    body = decode(request.body, RestartBody)
    await answers.send(RestartPlan(replicas=1, stops="stops" in peer.faults), final=body.plan_only)
    if body.plan_only:
        return
    peer.generation = request.generation
    peer.restarts += 1
    await answers.send(Progress(step="start", text="starting one replica beside"))
    channel = await peer.chain.channel(peer.owner, request.ref.channel)
    await peer.outcome(request, answers, peer.bundles[-1], channel)
