# SPDX-License-Identifier: Apache-2.0
"""Replies: sealed to the key in the request, signed by the attested reply key.

A relay between the two sees neither what a reply says nor can it make, drop from the middle,
reorder or repeat one: the signature covers the request, the place in the sequence, and whether
more follows.
"""

import hashlib
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from trustedpods.protocol.codec import decode, encode
from trustedpods.protocol.envelopes import SealedReply
from trustedpods.protocol.errors import RemoteProtocolError
from trustedpods.protocol.messages.base import Message
from trustedpods.protocol.messages.pod import SignedStatement, Statement
from trustedpods.protocol.messages.provider import Figures, SignedFigures
from trustedpods.protocol.sealing import hpke

_REPLY_TAG: Final = b"trusted-pods/reply/v1\0"
_STATEMENT_TAG: Final = b"trusted-pods/statement/v1\0"
_FIGURES_TAG: Final = b"trusted-pods/figures/v1\0"


def _context(request_digest: bytes, sequence: int, *, final: bool) -> bytes:
    return _REPLY_TAG + request_digest + sequence.to_bytes(4, "big") + bytes([final])


def check_signature(reply_key: bytes, signature: bytes, signed: bytes, what: str) -> None:
    """RemoteProtocolError (rule "reply-signature") unless *reply_key* signed *signed*."""
    try:
        Ed25519PublicKey.from_public_bytes(reply_key).verify(signature, signed)
    except (InvalidSignature, ValueError) as error:
        raise RemoteProtocolError(
            f"{what} is not signed by the attested machine", rule="reply-signature"
        ) from error


def seal_reply(
    signing_key: Ed25519PrivateKey,
    reply_to: bytes,
    request_digest: bytes,
    sequence: int,
    final: bool,
    body: Message,
) -> SealedReply:
    """Reply number *sequence* (from 0) to a request; *final* says that none follows.

    RemoteProtocolError when *reply_to*, which came with the request, is no key.
    """
    context = _context(request_digest, sequence, final=final)
    sealed = hpke.seal(reply_to, encode(body), context)
    signature = signing_key.sign(context + hashlib.sha256(sealed).digest())
    return SealedReply(sequence=sequence, final=final, sealed=sealed, signature=signature)


def open_reply(
    reply: SealedReply, reply_key: bytes, private: hpke.PrivateKey, request_digest: bytes, sequence: int
) -> tuple[bytes, bool]:
    """The coded body, and whether it is the last one.

    *reply_key* is the public key from verified evidence, *private* the request's own key,
    *sequence* the number expected next. RemoteProtocolError when anything differs.
    """
    if reply.sequence != sequence:
        raise RemoteProtocolError(f"reply {reply.sequence} came instead of {sequence}", rule="reply-sequence")
    context = _context(request_digest, sequence, final=reply.final)
    digest = hashlib.sha256(reply.sealed).digest()
    check_signature(reply_key, reply.signature, context + digest, "the reply")
    return private.open(reply.sealed, context), reply.final


def sign_statement(signing_key: Ed25519PrivateKey, statement: Statement) -> SignedStatement:
    """Confirm a pod's endpoints, images and terms, so that it can be shown to a third party."""
    coded = encode(statement)
    return SignedStatement(statement=coded, signature=signing_key.sign(_STATEMENT_TAG + coded))


def verify_statement(signed: SignedStatement, reply_key: bytes) -> Statement:
    """The statement; RemoteProtocolError unless the machine that holds *reply_key* signed it."""
    check_signature(reply_key, signed.signature, _STATEMENT_TAG + signed.statement, "the statement")
    return decode(signed.statement, Statement)


def sign_figures(signing_key: Ed25519PrivateKey, figures: Figures) -> SignedFigures:
    """A provider's word on its own service, so that it can be shown to a third party."""
    coded = encode(figures)
    return SignedFigures(figures=coded, signature=signing_key.sign(_FIGURES_TAG + coded))


def verify_figures(signed: SignedFigures, reply_key: bytes) -> Figures:
    """The figures; RemoteProtocolError unless the machine that holds *reply_key* signed them."""
    check_signature(reply_key, signed.signature, _FIGURES_TAG + signed.figures, "what it says of itself")
    return decode(signed.figures, Figures)
