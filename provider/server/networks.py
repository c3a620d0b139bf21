# SPDX-License-Identifier: Apache-2.0
"""The verb `network`: one question about a network's lease or document, and its one answer."""

from trustedpods.protocol.codec import decode
from trustedpods.protocol.errors import LocalProtocolError, Refused
from trustedpods.protocol.messages.networks import NETWORK_QUESTIONS, NetworkQuestion
from trustedpods.protocol.networks import wire
from trustedpods.protocol.networks.members import network_salt
from trustedpods.protocol.sealing.subjects import NetworkRef
from trustedpods.provider.networks.networks import Networks
from trustedpods.provider.server.conversations import Request


class NetworkRequests:
    """Takes the questions from the wire."""

    def __init__(self, networks: Networks) -> None:
        self._networks = networks

    async def network(self, request: Request) -> None:
        """Answer one question."""
        opened = request.opened
        if not isinstance(opened.subject, NetworkRef):
            raise LocalProtocolError("the verb network is about a network")
        body: NetworkQuestion = decode(opened.body, *NETWORK_QUESTIONS)
        if network_salt(body.network) != opened.subject.salt:
            raise Refused(f"the request is not about the network {body.network!r}", rule="network")
        answer = await self._networks.answer(opened.subject, body, opened.signer)
        await request.replies.send(wire.reply_of(answer), final=True)
