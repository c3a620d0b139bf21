# SPDX-License-Identifier: Apache-2.0
"""One cluster of a network: its attested provider, dialled again whenever the connection is gone."""

import math
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol

import trio

from trustedpods.contracts.registry_rows import RegistryRow
from trustedpods.protocol.errors import NetworkFailure, Refused, TrustedPodsError
from trustedpods.protocol.ids import Address
from trustedpods.protocol.messages.networks import NETWORK_REPLIES, KeptNetwork, NamesBody, NamesReply
from trustedpods.protocol.net import Host
from trustedpods.protocol.networks import wire
from trustedpods.protocol.networks.documents import Answer, Question
from trustedpods.protocol.networks.members import network_salt
from trustedpods.protocol.sealing.subjects import NetworkRef
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.market.session import (
    DaemonSession,
    next_generation,
    open_session,
    open_unlisted,
)
from trustedpods.publisher.networks.port_forward import forwarded

QUESTION_LIMIT_S = 8.0
"""For one question with its dial: more than an API server of 5 s needs, less than half a lease."""


class ClusterDoor(Protocol):
    """Where one cluster's questions go."""

    async def ask(self, question: Question) -> Answer:
        """The answer. NetworkFailure where there is none, which says nothing; else Refused."""


@dataclass(slots=True)
class _Asked:
    """A question on its way, and what came of it."""

    question: Question
    ended: trio.Event = field(default_factory=trio.Event)
    answer: Answer | None = None
    error: TrustedPodsError | None = None


@dataclass(frozen=True, slots=True)
class ClusterDaemon:
    """The daemon of one cluster, and the way to it: at `endpoint`, or through a context of the kubeconfig.

    `row` is None for one that stands in no registry: then the peer id in `endpoint` alone says who it is.
    """

    owner: Address
    daemon: int
    endpoint: str
    row: RegistryRow | None = None
    kube_context: str | None = None


class ClusterConnection:
    """A `ClusterDoor` over the provider's protocol; `serve` must run beside whoever asks."""

    def __init__(
        self, account: MarketAccount, host: Host, daemon: ClusterDaemon, founder: Address, name: str
    ) -> None:
        self._account = account
        self._host = host
        self._daemon = daemon
        self._ref = NetworkRef(daemon.owner, founder, network_salt(name))
        self._name = name
        self._send, self._receive = trio.open_memory_channel[_Asked](0)

    async def ask(self, question: Question) -> Answer:
        """See `ClusterDoor`."""
        asked = _Asked(question)
        await self._send.send(asked)
        await asked.ended.wait()
        if asked.error is not None:
            raise asked.error
        assert asked.answer is not None
        return asked.answer

    async def serve(self) -> None:
        """Carry questions one after another, for ever. After trouble the next one dials anew."""
        while True:
            asked = await self._receive.receive()
            with trio.CancelScope() as scope:
                scope.deadline = trio.current_time() + QUESTION_LIMIT_S
                try:
                    async with _session(self._account, self._host, self._daemon) as session:
                        while True:
                            await self._carry(session, asked)
                            scope.deadline = math.inf
                            asked = await self._receive.receive()
                            scope.deadline = trio.current_time() + QUESTION_LIMIT_S
                except TrustedPodsError as error:
                    _fail(asked, _again(error))
                finally:
                    _fail(asked, NetworkFailure(f"no answer within {QUESTION_LIMIT_S:.0f} s"))

    async def _carry(self, session: DaemonSession, asked: _Asked) -> None:
        """Ask and hand the answer over. A refusal ends nothing but the question."""
        body = wire.body_of(asked.question, self._name)
        try:
            async with session.converse("network", self._ref, body, next_generation()) as conversation:
                asked.answer = wire.answer_of(await conversation.reply(*NETWORK_REPLIES))
        except Refused as error:
            if error.rule in REBOOTED:
                raise
            asked.error = _again(error)
        asked.ended.set()


@asynccontextmanager
async def _session(account: MarketAccount, host: Host, daemon: ClusterDaemon) -> AsyncIterator[DaemonSession]:
    publisher = account.publisher
    policy = account.market.policy("open")  # documents are sealed to the team, not to the machine
    async with AsyncExitStack() as stack:
        endpoint = daemon.endpoint
        if daemon.kube_context is not None:
            endpoint = await stack.enter_async_context(forwarded(daemon.kube_context, endpoint))
        session: DaemonSession
        if daemon.row is None:
            opening = open_unlisted(host, publisher, daemon.owner, daemon.daemon, endpoint, policy)
            session = await stack.enter_async_context(opening)
        else:
            row = replace(daemon.row, endpoint=endpoint)
            session = await stack.enter_async_context(open_session(host, publisher, row, policy))
        yield session


async def kept_at(account: MarketAccount, host: Host, daemon: ClusterDaemon) -> list[KeptNetwork]:
    """Who founded which networks that *daemon*'s cluster keeps: anybody may ask.

    NetworkFailure where it does not answer in time; Refused.
    """
    ref = NetworkRef(daemon.owner, account.publisher.address, network_salt(NamesBody().network))
    with trio.move_on_after(QUESTION_LIMIT_S):
        async with (
            _session(account, host, daemon) as session,
            session.converse("network", ref, NamesBody(), next_generation()) as conversation,
        ):
            return (await conversation.reply(NamesReply)).networks
    raise NetworkFailure(f"no answer within {QUESTION_LIMIT_S:.0f} s")


REBOOTED = ("boot-id", "sealed")
"""Rules by which a provider refuses what was sealed to an earlier boot: it is attested again."""

BUSY = ("rate", "busy")
"""Rules by which it refuses for a moment."""


def _again(error: TrustedPodsError) -> TrustedPodsError:
    """After a reboot, or when there was too much to do, the same question may be asked again."""
    if error.rule in (*REBOOTED, *BUSY):
        return NetworkFailure(error.what, where=error.where, hint=error.hint, rule=error.rule)
    return error


def _fail(asked: _Asked, error: TrustedPodsError) -> None:
    if not asked.ended.is_set():
        asked.error = error
        asked.ended.set()
