# SPDX-License-Identifier: Apache-2.0
"""Questions of pods and the answers to them, as bytes (RFC 1035). A pod's bytes are trusted with nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

MAX_QUESTION = 1232
"""Bytes of a question: one name and a few options of EDNS. It is also what one packet carries everywhere."""

PLAIN_UDP = 512
"""Bytes of an answer over UDP to whoever does not say that more fits (RFC 1035, 4.2.1)."""

_MAX_TCP = 65_535

Outcome = Literal["there", "unknown", "failed"]
_CODES = {
    "there": dns.rcode.NOERROR,
    "unknown": dns.rcode.NXDOMAIN,
    "failed": dns.rcode.SERVFAIL,
}


@dataclass(frozen=True, slots=True)
class PodQuestion:
    """One question: the host in lower case without its last dot, and whether its IPv4 addresses are meant."""

    host: str
    addresses: bool
    message: dns.message.QueryMessage


def question(data: bytes) -> PodQuestion | None:
    """The question in *data*; None where it is none that a resolver answers."""
    if len(data) > MAX_QUESTION:
        return None
    try:
        asked = dns.message.from_wire(data)
    except (dns.exception.DNSException, ValueError):
        return None
    if not isinstance(asked, dns.message.QueryMessage) or asked.flags & dns.flags.QR:
        return None
    if asked.opcode() != dns.opcode.QUERY or len(asked.question) != 1:
        return None
    (one,) = asked.question
    if one.rdclass != dns.rdataclass.IN:
        return None
    host = one.name.to_text(omit_final_dot=True).lower()
    return PodQuestion(host, one.rdtype == dns.rdatatype.A, asked)


def answer(
    asked: PodQuestion, outcome: Outcome, addresses: Sequence[str] = (), ttl_s: int = 0, *, tcp: bool = False
) -> bytes:
    """The answer's bytes; over UDP what does not fit is cut and marked so, and the pod asks over TCP."""
    made = dns.message.make_response(asked.message, recursion_available=True)
    made.set_rcode(_CODES[outcome])
    if addresses:
        name = asked.message.question[0].name
        made.answer.append(dns.rrset.from_text(name, ttl_s, "IN", "A", *addresses))
    most = min(max(asked.message.payload, PLAIN_UDP), MAX_QUESTION)
    return made.to_wire(max_size=_MAX_TCP if tcp else most, prefer_truncation=True)
