# SPDX-License-Identifier: Apache-2.0
"""A question from outside as it travels: one line of JSON, signed by the owner's or the operator's key.

What is signed (EIP-712) names the market, the daemon and its peer id, so that it is good for one boot of one
daemon; the peer id of who asks, so that nobody else can ask it again; a nonce and
an expiry. Importing this costs eth_abi: command lines import it inside the verb.
"""

import secrets
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import Field

from trustedpods.contracts.eip712 import Domain, TypedData
from trustedpods.protocol.errors import BadInput, Refused
from trustedpods.protocol.ids import Address
from trustedpods.protocol.messages.base import U64, Bytes32, Message
from trustedpods.protocol.sealing.signatures import sign, signer_of
from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.config import ProviderConfig

MAX_QUESTION: Final = 4096
"""Bytes of the line, as on the admin socket: a reason at its longest, and room to spare."""

MAX_FRAME: Final = MAX_QUESTION + 512
"""Bytes of the whole message: what stands around the line takes 200."""

MAX_ANSWER: Final = 1 << 20
"""Bytes of an answer: two thousand pods. Of more, `overview` is asked for a part."""

LIFETIME_S: Final = 60
"""A question is signed right before it is sent."""

MAX_LIFETIME_S: Final = 300
"""What two clocks that differ by minutes need; nonces are kept so long."""

_FIELDS: Final = [
    {"name": "owner", "type": "address"},
    {"name": "daemon", "type": "uint32"},
    {"name": "peerId", "type": "bytes"},
    {"name": "asker", "type": "bytes"},
    {"name": "question", "type": "string"},
    {"name": "nonce", "type": "bytes32"},
    {"name": "expiry", "type": "uint64"},
]


class OperatorQuestion(Message):
    """A question with its signature; whom it is for, and from, stands in what is signed alone."""

    kind: Literal["operator-question"] = "operator-question"
    question: Annotated[str, Field(max_length=MAX_QUESTION)]
    nonce: Bytes32
    expiry: U64
    signature: Annotated[bytes, Field(min_length=65, max_length=65)]


class OperatorAnswer(Message):
    """One line of JSON."""

    kind: Literal["operator-answer"] = "operator-answer"
    answer: Annotated[str, Field(max_length=MAX_ANSWER)]


@dataclass(frozen=True, slots=True)
class Addressee:
    """The daemon that is asked: of which market, whose, under which number, and in which boot."""

    chain_id: int
    payments: Address
    owner: Address
    daemon: int
    peer_id: bytes

    def digest(self, asker: bytes, question: str, nonce: bytes, expiry: int) -> bytes:
        """What is signed of a question to it by the peer *asker*."""
        values = {
            "owner": self.owner,
            "daemon": self.daemon,
            "peerId": self.peer_id,
            "asker": asker,
            "question": question,
            "nonce": nonce,
            "expiry": expiry,
        }
        domain = Domain("Trusted Pods", "1", self.chain_id, self.payments)
        return TypedData(domain, {"OperatorQuestion": _FIELDS}, values).digest


def addressee(config: ProviderConfig, peer_id: bytes) -> Addressee:
    """The daemon of *config* in the boot that has this peer id."""
    market, identity = config.market, config.identity
    return Addressee(
        market.chain_id, Address(market.payments), Address(identity.owner), identity.daemon, peer_id
    )


def signed(key: bytes, asker: bytes, question: str, to: Addressee, now: UnixSeconds) -> OperatorQuestion:
    """What the peer *asker* sends, good for `LIFETIME_S`.

    BadInput when *key* is none, or *question* has more than `MAX_QUESTION` bytes.
    """
    if len(question.encode()) > MAX_QUESTION:
        raise BadInput(f"a question of more than {MAX_QUESTION} bytes", hint="shorten the reason")
    nonce, expiry = secrets.token_bytes(32), now + LIFETIME_S
    signature = sign(key, to.digest(asker, question, nonce, expiry))
    return OperatorQuestion(question=question, nonce=nonce, expiry=expiry, signature=signature)


def check(
    asked: OperatorQuestion, asker: bytes, to: Addressee, keys: frozenset[Address], now: UnixSeconds
) -> Address:
    """Which of *keys* signed it; Refused unless it is for this daemon, from the peer *asker*, and good now.

    Rules: `operator-signature`, `expired`, `expiry-too-far`.
    """
    signer = signer_of(to.digest(asker, asked.question, asked.nonce, asked.expiry), asked.signature)
    if signer is None or signer not in keys:
        raise Refused(
            "neither the owner's nor the operator's key signed this question for this daemon in this boot",
            rule="operator-signature",
        )
    if asked.expiry < now:
        raise Refused("this question has expired", rule="expired")
    if asked.expiry > now + MAX_LIFETIME_S:
        raise Refused(f"a question is good for at most {MAX_LIFETIME_S} s", rule="expiry-too-far")
    return signer
