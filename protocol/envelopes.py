# SPDX-License-Identifier: Apache-2.0
"""What goes around a body: the signed request, the sealed reply, and an error in place of one."""

from typing import Annotated, Literal, Self

from pydantic import Field

from trustedpods.protocol import limits
from trustedpods.protocol.errors import TrustedPodsError
from trustedpods.protocol.messages.base import (
    U32,
    U64,
    Bytes20,
    Bytes32,
    LongText,
    Message,
    ShortText,
    sendable,
)
from trustedpods.protocol.messages.verbs import Verb

RequestGeneration = Annotated[int, Field(ge=0, lt=1 << 63)]
"""Of a pod's requests; signed as 64 bits, of which books in SQLite hold 63."""


class SignedRequest(Message):
    """A verb on a pod: the body sealed to the attested key, the whole signed by the publisher."""

    kind: Literal["request"] = "request"
    verb: Verb
    owner: Bytes20
    publisher: Bytes20
    salt: Bytes32
    generation: RequestGeneration
    expiry: U64
    nonce: Bytes32
    boot_id: Bytes32
    reply_to: Annotated[bytes, Field(max_length=4096)]
    sealed: Annotated[bytes, Field(max_length=limits.MAX_MESSAGE - 64 * limits.KIB)]
    signature: Annotated[bytes, Field(min_length=65, max_length=65)]


class SealedReply(Message):
    """One answer: sealed to the request's `reply_to`, signed by the attested reply key."""

    kind: Literal["reply"] = "reply"
    sequence: U32
    final: bool
    sealed: Annotated[bytes, Field(max_length=limits.MAX_MESSAGE - 64 * limits.KIB)]
    signature: Annotated[bytes, Field(min_length=64, max_length=64)]


class ErrorReply(Message):
    """Why a request failed. Unsealed only when the request could not even be opened."""

    kind: Literal["error"] = "error"
    code: ShortText
    what: LongText
    where: LongText | None = None
    hint: LongText | None = None
    rule: ShortText | None = None

    @classmethod
    def of(cls, error: TrustedPodsError) -> Self:
        """The error as it travels, cut to what a message may hold."""
        return cls(
            code=error.code,
            what=sendable(error.what),
            where=sendable(error.where) if error.where else None,
            hint=sendable(error.hint) if error.hint else None,
            rule=sendable(error.rule, 500) if error.rule else None,
        )
