# SPDX-License-Identifier: Apache-2.0
"""The verbs `network` and `book`: a network's lease or document, and what one of its nodes is given of it."""

from trustedpods.protocol.codec import decode
from trustedpods.protocol.errors import LocalProtocolError, Refused
from trustedpods.protocol.messages.base import Done
from trustedpods.protocol.messages.networks import NETWORK_QUESTIONS, NamesBody, NamesReply, NetworkQuestion
from trustedpods.protocol.networks import wire
from trustedpods.protocol.networks.book import AS_BEFORE, NetworkBook
from trustedpods.protocol.networks.members import network_salt
from trustedpods.protocol.sealing.subjects import NetworkRef
from trustedpods.provider.admission.rights import CommandRights
from trustedpods.provider.books.books import Books
from trustedpods.provider.networks.networks import Networks
from trustedpods.provider.server.conversations import Request


class NodeBooks:
    """Takes what nodes of networks are given of their address books."""

    def __init__(self, rights: CommandRights, books: Books) -> None:
        self._rights = rights
        self._books = books

    async def book(self, request: Request) -> None:
        """Let a pod have a newer book; who commands it brings it."""
        book = decode(request.opened.body, NetworkBook)
        record = self._rights.commanded_pod(request.opened)
        taken = await self._books.take(record, book)
        text = f"book of generation {book.generation}"
        await request.replies.send(Done(text=text if taken else f"{text}, {AS_BEFORE}"), final=True)


class NetworkRequests:
    """Takes the questions from the wire."""

    def __init__(self, networks: Networks) -> None:
        self._networks = networks

    async def network(self, request: Request) -> None:
        """Answer one question; which networks there are is told to everybody."""
        opened = request.opened
        if not isinstance(opened.subject, NetworkRef):
            raise LocalProtocolError("the verb network is about a network")
        body = decode(opened.body, NamesBody, *NETWORK_QUESTIONS)
        assert isinstance(body, NamesBody | NetworkQuestion)
        if network_salt(body.network) != opened.subject.salt:
            raise Refused(f"the request is not about the network {body.network!r}", rule="network")
        if isinstance(body, NamesBody):
            names = await self._networks.names()
            await request.replies.send(NamesReply(networks=names), final=True)
            return
        answer = await self._networks.answer(opened.subject, body, opened.signer)
        await request.replies.send(wire.reply_of(answer), final=True)
