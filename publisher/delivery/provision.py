# SPDX-License-Identifier: Apache-2.0
"""Hand a pod to an attested provider: bundle, blobs, and its word that the pod serves."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import trio

from trustedpods.contracts.terms import Terms
from trustedpods.protocol.errors import RemoteProtocolError
from trustedpods.protocol.ids import CHANNEL_ID_BITS, PodRef
from trustedpods.protocol.messages.base import Progress
from trustedpods.protocol.messages.bundle import Bundle, Needs
from trustedpods.protocol.messages.pod import SignedStatement, Statement
from trustedpods.protocol.sealing.replies import verify_statement
from trustedpods.publisher.delivery.upload import Piece, Traffic, plan, upload
from trustedpods.publisher.journal import Journal, Meter, Step
from trustedpods.publisher.market.session import Conversation, Session, next_generation
from trustedpods.publisher.output.json_of import as_facts
from trustedpods.publisher.output.json_parts import sent_json
from trustedpods.publisher.parallel import open_nursery

STARTING_TIMEOUT_S = 600.0
"""Between two events of a provider that imports images and waits for a pod to start."""


Pieces = Callable[[], Awaitable[Mapping[bytes, Piece]]]
"""Finds the blobs of the bundle; only asked when the provider lacks some."""


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What the provider signed, and what was sent to it."""

    statement: Statement
    traffic: Traffic
    generation: int


class ProvisionConversation:
    """One `provision` conversation, with the payment and the uploads beside it."""

    def __init__(
        self,
        session: Session,
        ref: PodRef,
        bundle: Bundle,
        pieces: Pieces,
        terms: Terms,
        journal: Journal,
    ) -> None:
        self._terms = terms
        self._session = session
        self._ref = ref
        self._bundle = bundle
        self._pieces = pieces
        self._journal = journal
        self.generation = next_generation()
        self.traffic = Traffic()
        self._needs: Needs | None = None
        self._told: Progress | None = None
        self._needed, self._paid, self._sent = trio.Event(), trio.Event(), trio.Event()

    async def run(self, pay: Callable[[Step], Awaitable[None]]) -> Confirmed:
        """Send everything while *pay* opens the channel; return when the pod serves.

        Raises what the provider reports, in Kubernetes' own words where there are any.
        """
        async with open_nursery() as nursery:
            nursery.start_soon(self._pay, pay)
            nursery.start_soon(self._send)
            nursery.start_soon(self._create)
            async with self._session.converse(
                "provision", self._ref, self._bundle, self.generation
            ) as conversation:
                signed = await self._read(conversation)
            await self._paid.wait()
            nursery.cancel_scope.cancel()
        with self._journal.step("confirm"):
            statement = self._verify(signed)
        return Confirmed(statement, self.traffic, self.generation)

    async def _pay(self, pay: Callable[[Step], Awaitable[None]]) -> None:
        with self._journal.step("channel") as step:
            await pay(step)
        self._paid.set()

    async def _read(self, conversation: Conversation) -> SignedStatement:
        while True:
            reply = await conversation.reply(Needs, Progress, SignedStatement, timeout=STARTING_TIMEOUT_S)
            if isinstance(reply, SignedStatement):
                return reply
            if conversation.finished:
                raise RemoteProtocolError("the provider ended without confirming", rule="no-statement")
            if isinstance(reply, Needs):
                self._needs = reply
                self._needed.set()
            elif isinstance(reply, Progress) and reply != self._told:
                self._told = reply  # a provider that waits says so at each look
                self._journal.event(f"provider:{reply.step}", reply.text)

    async def _send(self) -> None:
        with self._journal.step("send") as step:
            await self._needed.wait()
            assert self._needs is not None
            work = plan(self._needs.blobs, await self._pieces()) if self._needs.blobs else []
            total = sum(piece.ref.size for piece, _ in work)
            meter = Meter("images", total, self._journal.show)
            try:
                await upload(self._session, self._ref, self.generation, work, meter.add, self.traffic)
            finally:
                step.facts |= as_facts(sent_json(self.traffic.so_far()))
        self._sent.set()

    async def _create(self) -> None:
        """Time what is left once everything is paid and sent."""
        await self._sent.wait()
        await self._paid.wait()
        with self._journal.step("create"):
            self._journal.waits()
            await trio.sleep_forever()

    def _verify(self, signed: SignedStatement) -> Statement:
        """The statement must be about this pod, these images and this machine."""
        statement = verify_statement(signed, self._session.binding.reply_key)
        images = {image.name: image.blobs[0].digest for image in self._bundle.images}
        checks = {
            "channel": statement.channel == self._ref.channel.to_bytes(CHANNEL_ID_BITS // 8, "big"),
            "generation": statement.generation <= self.generation,
            "images": statement.images == images,
            "terms": Terms.unpack(statement.terms) == self._terms,
            "meter": statement.meter == self._session.binding.meter,
        }
        for name, good in checks.items():
            if not good:
                raise RemoteProtocolError(f"the provider confirms another {name}", rule=f"statement-{name}")
        return statement
