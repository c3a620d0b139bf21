# SPDX-License-Identifier: Apache-2.0
"""How a `ProviderPeer` answers, and what: to `exec`, `terminal`, `forward`, `restart`, and of its service.

Of a command the daemon's own streams over one of the test, or what no daemon says.
"""

import secrets
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.fakes.commands import FakeCommands
from trustedpods.protocol.codec import decode, encode
from trustedpods.protocol.envelopes import ErrorReply
from trustedpods.protocol.errors import NetworkFailure, Refused
from trustedpods.protocol.messages.base import Done, Progress
from trustedpods.protocol.messages.exec import (
    MAX_PIECE,
    WINDOW,
    ExecBody,
    ExecEnded,
    ExecOutput,
    ExecStarted,
    ExecTaken,
    TerminalBody,
)
from trustedpods.protocol.messages.forward import ForwardBody
from trustedpods.protocol.messages.pod import RestartBody, RestartPlan
from trustedpods.protocol.net.bounds import PAUSE_S
from trustedpods.protocol.sealing.outputs import OutputSealer
from trustedpods.protocol.sealing.replies import seal_reply, sign_figures
from trustedpods.provider.public.figures import ServiceSums, figures_of
from trustedpods.provider.server.exec_streams import CommandStreams
from trustedpods.provider.server.forwarding.forwarded import ForwardedConnections, begin

REPLICA = {"cpu_milli": 100, "memory_mib": 64}


class Answers:
    """The replies to one request, as the daemon's or as a *peer* with faults says them."""

    def __init__(self, stream, peer, request):
        self.stream, self._peer, self._request, self._sequence = stream, peer, request, 0
        self._sealer = None

    async def send(self, body, *, final=False):
        sealer = self._sealer
        await self.stream.send(sealer.seal(body, final=final) if sealer else self._signed(body, final))
        if "cuts-output" in self._peer.faults and getattr(body, "data", b""):
            await self.stream.finish()  # anybody between who owns the channel's key can do this
            await trio.sleep_forever()

    async def send_keyed(self, body, output_key):
        await self.send(body)
        key = secrets.token_bytes(32) if "seals-with-other-key" in self._peer.faults else output_key
        self._sealer = OutputSealer(key, self._request.digest)

    def _signed(self, body, final):
        peer, request = self._peer, self._request
        key = Ed25519PrivateKey.generate() if "replies-by-other-key" in peer.faults else peer.reply_key
        digest = bytes(32) if "replies-to-other-request" in peer.faults else request.digest
        sequence = self._sequence + ("skips-replies" in peer.faults)
        self._sequence += 1
        return encode(seal_reply(key, request.reply_to, digest, sequence, final, body))


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
    body: Any = decode(request.body, ExecBody if request.verb == "exec" else TerminalBody)
    answers.stream.outlast(PAUSE_S)
    if "before the start" in programs:
        await programs["before the start"]()
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
    how = {"stdin": body.stdin} if request.verb == "exec" else {"stdin": True, "size": body.size}
    async with commands.exec(*place, body.command, **how) as command:
        asked = SimpleNamespace(opened=request, replies=answers)
        code = await CommandStreams(asked, body, command, carried).run()
    await answers.send(ExecEnded(exit_code=code), final=True)


class PeerStreams:
    """The part of a `ProviderPeer` that carries bytes: `declared` has its pod's ports, each a local one's."""

    declared: dict[int, int]
    faults: set[str]
    programs: dict[str, Any]
    phase: str
    chain: Any
    _told: Any
    parked_at: int | None = None
    failure = None
    last_request_at: int | None = None
    drain_at: int | None = None
    room = None
    history = ()
    least_replicas, late = 0, 0
    """So many replicas run unasked; in so many answers they have not ended yet, or are not ready."""

    def running(self):
        """What a status says of replicas."""
        late, self.late = self.late > 0, max(0, self.late - 1)
        parked, number = self.parked_at is not None, max(1, self.least_replicas)
        replicas = number if late or not parked else 0
        ready = 0 if late else replicas
        failure = self.failure if late else None
        told = {"parked_at": self.parked_at, "least_replicas": self.least_replicas, "failure": failure}
        return {
            "replicas": replicas,
            "ready": ready,
            "last_request_at": self.last_request_at,
            "drain_at": self.drain_at,
            "room": self.room,
            **told,
        }

    async def _stop(self, request, answers):
        if self.phase not in ("serving", "parked"):
            raise Refused(f"the pod is {self.phase}: nothing of it runs", rule="not-serving")
        self.phase, self.parked_at = "parked", self.parked_at or self.chain.now
        await answers.send(await self._told(request), final=True)

    async def _start(self, request, answers):
        if self.phase not in ("serving", "parked"):
            raise Refused(f"the pod is {self.phase}: nothing of it runs", rule="not-serving")
        self.phase, self.parked_at = "serving", None
        await answers.send(await self._told(request), final=True)

    async def _exec(self, request, answers):
        await answer(self.faults, request, answers, self.programs)

    _terminal = _exec

    async def _forward(self, request, answers):
        body = decode(request.body, ForwardBody)
        for one in body.ports:
            if one.port not in self.declared:
                raise Refused(f"the pod declares no TCP port {one.port}", rule="forward-port")
        answers.stream.outlast(PAUSE_S)
        await begin(answers, [one.port for one in body.ports])
        if "hangs-up-on-commands" in self.faults:
            await trio.sleep(0.2)  # the client has read that it began
            await answers.stream.reset()
            raise NetworkFailure("as a test asked")

        async def dial(place):
            try:
                return await trio.open_tcp_stream("127.0.0.1", self.declared[body.ports[place].port])
            except OSError:
                raise NetworkFailure("nothing listens there") from None

        async def carried(_into, _out):
            await trio.lowlevel.checkpoint()

        asked = SimpleNamespace(opened=request, replies=answers)
        await ForwardedConnections(asked, body, dial, carried, ()).run()
        await answers.send(Done(), final=True)


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


def signed_figures(peer: Any) -> Any:
    """Of the peer's service, an hour old at most; what its faults say instead."""
    if "no-figures" in peer.faults:
        return ErrorReply(code="remote-protocol", what="bad kind")
    age = 7200 if "old-figures" in peer.faults else 60
    sums = ServiceSums(86_400, 86_000, 10, 9_000, (0, 0, 5, 5, 5, 5, 9, 10, 10, 10, 10, 10, 10, 10, 10))
    figures = figures_of(peer.profile, sums, int(datetime.now(UTC).timestamp()) - age, tcp=True)
    key = Ed25519PrivateKey.generate() if "forged-figures" in peer.faults else peer.reply_key
    whose = peer.daemon + ("others-figures" in peer.faults)
    return sign_figures(key, figures.model_copy(update={"daemon": whose}))
