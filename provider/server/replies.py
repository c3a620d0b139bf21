# SPDX-License-Identifier: Apache-2.0
"""What is said to a request: each body sealed, numbered, and signed or under a key that was."""

import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from trustedpods.protocol.codec import encode
from trustedpods.protocol.envelopes import ErrorReply
from trustedpods.protocol.errors import TrustedPodsError
from trustedpods.protocol.messages.base import Message
from trustedpods.protocol.net.streams import FrameStream
from trustedpods.protocol.sealing.outputs import OutputSealer
from trustedpods.protocol.sealing.replies import seal_reply
from trustedpods.protocol.sealing.requests import OpenedRequest


class Replies:
    """The replies to one request, in order. After the final one nothing more may be sent."""

    def __init__(self, stream: FrameStream, signing_key: Ed25519PrivateKey, request: OpenedRequest) -> None:
        self.stream = stream
        self.request = request
        self._key = signing_key
        self._sequence = 0
        self._sending = trio.Lock()
        self._sealer: OutputSealer | None = None
        self.ended = False

    async def send(self, body: Message, *, final: bool = False) -> None:
        """Seal and send one body."""
        async with self._sending:
            await self._say(body, final=final)

    async def send_keyed(self, body: Message, output_key: bytes) -> None:
        """The same of a body that names *output_key*: what follows is sealed with that alone."""
        async with self._sending:
            await self._say(body, final=False)
            self._sealer = OutputSealer(output_key, self.request.digest)

    async def _say(self, body: Message, *, final: bool) -> None:
        assert not self.ended
        if self._sealer is not None:
            sealed = self._sealer.seal(body, final=final)
        else:
            sealed = await trio.to_thread.run_sync(self._signed, self._sequence, final, body)
            self._sequence += 1
        self.ended = final
        await self.stream.send(sealed)

    def _signed(self, sequence: int, final: bool, body: Message) -> bytes:
        asked = self.request
        return encode(seal_reply(self._key, asked.reply_to, asked.digest, sequence, final, body))

    async def fail(self, error: TrustedPodsError) -> None:
        """End the conversation with an error."""
        if not self.ended:
            await self.send(ErrorReply.of(error), final=True)
