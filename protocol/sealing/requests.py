# SPDX-License-Identifier: Apache-2.0
"""Requests: sealed to the attested machine, signed by the publisher's Ethereum key (EIP-712).

The signature covers hashes of what is sealed, so any wallet can make it, and names the machine's
boot and an expiry; whoever keeps the nonces until then sees each request once. Importing this
costs eth_abi (a tenth of a second): command lines import it inside the verb that signs.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

from eth_account.messages import SignableMessage, encode_typed_data

from trustedpods.protocol import limits
from trustedpods.protocol.codec import encode
from trustedpods.protocol.envelopes import SignedRequest
from trustedpods.protocol.errors import LocalProtocolError, Refused
from trustedpods.protocol.ids import Address, PodRef, address_bytes, address_from_bytes, keccak256
from trustedpods.protocol.messages.base import Message
from trustedpods.protocol.messages.verbs import Verb
from trustedpods.protocol.sealing import hpke
from trustedpods.protocol.sealing.signatures import address_of, sign, signer_of, statement_digest
from trustedpods.protocol.sealing.subjects import Subject, bound_bytes, may_sign, subject_of

_INFO_TAG: Final = b"trusted-pods/request/v1\0"
_DERIVE_TAG: Final = b"trusted-pods/publisher-secret/v1\0"
_DERIVE_MESSAGE: Final = (
    "Trusted Pods: derive my secret, version 1.\n"
    "Sign this only in the Trusted Pods client: the signature names and encrypts your pods."
)
_REQUEST_FIELDS: Final = [
    {"name": "verb", "type": "string"},
    {"name": "owner", "type": "address"},
    {"name": "publisher", "type": "address"},
    {"name": "salt", "type": "bytes32"},
    {"name": "generation", "type": "uint64"},
    {"name": "expiry", "type": "uint64"},
    {"name": "nonce", "type": "bytes32"},
    {"name": "bootId", "type": "bytes32"},
    {"name": "sealedHash", "type": "bytes32"},
    {"name": "replyToHash", "type": "bytes32"},
]


@dataclass(frozen=True, slots=True)
class ChainContext:
    """The market that a signature is good for: one payment contract on one chain."""

    chain_id: int
    payments: Address


@dataclass(frozen=True, slots=True)
class OpenedRequest:
    """A request whose signature, expiry, addressee and seal were found good.

    Replay is still to be checked: *nonce* must be kept until *expiry*. `digest` names the request
    in its replies; `body` is a coded message that the caller decodes.
    """

    verb: Verb
    subject: Subject
    publisher: Address
    signer: Address
    generation: int
    expiry: int
    nonce: bytes
    body: bytes
    digest: bytes
    reply_to: bytes

    @property
    def ref(self) -> PodRef:
        """The pod that it is about. LocalProtocolError where a verb about pods got another subject."""
        if not isinstance(self.subject, PodRef):
            raise LocalProtocolError(f"the verb {self.verb} is not about a pod")
        return self.subject


def publisher_secret(private_key: bytes) -> bytes:
    """32 secret bytes that only the holder of *private_key* can make, the same every time.

    They come from a deterministic signature (RFC 6979), so a wallet that never shows its key can
    make them too. Salts of pods and keys of blobs are derived from them.
    """
    signature = sign(private_key, statement_digest(_DERIVE_MESSAGE))
    return hashlib.sha256(_DERIVE_TAG + signature[:64]).digest()


def _typed(request: SignedRequest, chain: ChainContext) -> SignableMessage:
    return encode_typed_data(
        {
            "name": "Trusted Pods",
            "version": "1",
            "chainId": chain.chain_id,
            "verifyingContract": chain.payments,
        },
        {"Request": _REQUEST_FIELDS},
        {
            "verb": request.verb,
            "owner": address_from_bytes(request.owner),
            "publisher": address_from_bytes(request.publisher),
            "salt": request.salt,
            "generation": request.generation,
            "expiry": request.expiry,
            "nonce": request.nonce,
            "bootId": request.boot_id,
            "sealedHash": keccak256(request.sealed),
            "replyToHash": keccak256(request.reply_to),
        },
    )


def _digest(typed: SignableMessage) -> bytes:
    return keccak256(b"\x19" + typed.version + typed.header + typed.body)


def request_digest(request: SignedRequest, chain: ChainContext) -> bytes:
    """The 32 bytes that the publisher signs, and that name the request in its replies."""
    return _digest(_typed(request, chain))


def request_info(verb: Verb, subject: Subject, generation: int, expiry: int) -> bytes:
    """HPKE context of a request's body: it opens as nothing else than what was signed."""
    return b"".join(
        (
            _INFO_TAG,
            len(verb).to_bytes(1, "big"),
            verb.encode(),
            address_bytes(subject.publisher),
            bound_bytes(subject),
            generation.to_bytes(8, "big"),
            expiry.to_bytes(8, "big"),
        )
    )


def sign_request(  # noqa: PLR0913 - every part of a request is the caller's to choose
    private_key: bytes,
    chain: ChainContext,
    subject: Subject,
    verb: Verb,
    body: Message,
    *,
    hpke_key: bytes,
    boot_id: bytes,
    generation: int,
    expiry: int,
    nonce: bytes,
    reply_to: bytes,
) -> SignedRequest:
    """Seal *body* to *hpke_key* and sign the whole.

    *hpke_key* and *boot_id* come from verified evidence; *expiry* is in Unix seconds, at most
    `limits.REQUEST_LIFETIME_S` ahead; *nonce* is 32 random bytes, *reply_to* the public half of a
    key made for this request alone. LocalProtocolError when the key may not sign for the
    subject or the verb is not about such a one.
    """
    if not may_sign(address_of(private_key), subject):
        raise LocalProtocolError(f"this key does not sign for {subject.publisher}")
    if subject_of(verb, subject.owner, subject.publisher, subject.salt) != subject:
        raise LocalProtocolError(f"the verb {verb} is not about a {type(subject).__name__}")
    unsigned = SignedRequest(
        verb=verb,
        owner=address_bytes(subject.owner),
        publisher=address_bytes(subject.publisher),
        salt=subject.salt,
        generation=generation,
        expiry=expiry,
        nonce=nonce,
        boot_id=boot_id,
        reply_to=reply_to,
        sealed=hpke.seal(hpke_key, encode(body), request_info(verb, subject, generation, expiry)),
        signature=bytes(65),
    )
    return unsigned.model_copy(update={"signature": sign(private_key, request_digest(unsigned, chain))})


def _check_addressee(request: SignedRequest, owner: Address, boot_id: bytes, now: int) -> None:
    if request.owner != address_bytes(owner):
        raise Refused(f"the request is for {address_from_bytes(request.owner)}, not {owner}", rule="owner")
    if request.boot_id != boot_id:
        raise Refused(
            "the request is for another boot of this machine", hint="attest it again", rule="boot-id"
        )
    if request.expiry <= now:
        raise Refused(f"the request expired {now - request.expiry} s ago", rule="expired")
    if request.expiry > now + limits.REQUEST_LIFETIME_S + limits.CLOCK_SKEW_S:
        raise Refused(
            f"the request would live {request.expiry - now} s, more than {limits.REQUEST_LIFETIME_S} s",
            hint="check the clock",
            rule="expiry-too-far",
        )


def open_request(
    request: SignedRequest,
    *,
    chain: ChainContext,
    owner: Address,
    boot_id: bytes,
    hpke: hpke.PrivateKey,
    now: int,
) -> OpenedRequest:
    """Check everything that needs no memory of earlier requests, and open the body.

    *now* is in Unix seconds. Refused, with the check's name as `rule` ("owner", "boot-id",
    "expired", "expiry-too-far", "signature", "signer"), or RemoteProtocolError ("sealed").
    """
    _check_addressee(request, owner, boot_id, now)
    typed = _typed(request, chain)
    signer = signer_of(_digest(typed), request.signature)
    if signer is None:
        raise Refused("the signature is malformed, or not in canonical form", rule="signature")
    subject = subject_of(request.verb, owner, address_from_bytes(request.publisher), request.salt)
    if not may_sign(signer, subject):
        raise Refused(f"signed by {signer}, not by the publisher {subject.publisher}", rule="signer")
    info = request_info(request.verb, subject, request.generation, request.expiry)
    return OpenedRequest(
        verb=request.verb,
        subject=subject,
        publisher=subject.publisher,
        signer=signer,
        generation=request.generation,
        expiry=request.expiry,
        nonce=request.nonce,
        body=hpke.open(request.sealed, info),
        digest=_digest(typed),
        reply_to=request.reply_to,
    )
