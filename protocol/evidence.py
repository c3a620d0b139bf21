# SPDX-License-Identifier: Apache-2.0
"""How a provider proves itself: a nonce, what the hardware signed over it, the keys bound into that."""

from typing import Annotated, Literal

from pydantic import Field

from trustedpods.protocol import limits
from trustedpods.protocol.messages.base import Bytes20, Bytes32, Message
from trustedpods.protocol.messages.provider import TrustClass


class AttestRequest(Message):
    """Asks for fresh evidence; the nonce is random and used once."""

    kind: Literal["attest"] = "attest"
    nonce: Bytes32


class KeyBinding(Message):
    """The public halves of the keys made inside the machine, as bound into report_data."""

    trust: TrustClass
    boot_id: Bytes32
    peer_id: Annotated[bytes, Field(min_length=1, max_length=64)]
    hpke_suite: Annotated[str, Field(max_length=64)]
    hpke_key: Annotated[bytes, Field(max_length=4096)]
    reply_key: Bytes32
    meter: Bytes20
    tls_key_digest: Bytes32
    config_digest: Bytes32


class Evidence(Message):
    """What the hardware signed. `none` is only for providers of class open.

    `collateral` is what the vendor says of the platform: AMD's revocation list (DER), or Intel's
    statements (JSON). `event_log` is behind TDX's runtime registers (attestation/tdx_events.py).
    """

    kind: Literal["sev-snp", "tdx", "none"]
    report: Annotated[bytes, Field(max_length=limits.MAX_EVIDENCE)] = b""
    certificates: Annotated[
        list[Annotated[bytes, Field(max_length=16 * limits.KIB)]],
        Field(max_length=limits.MAX_CERTIFICATES),
    ] = []  # noqa: RUF012 - pydantic gives each its own
    collateral: Annotated[bytes, Field(max_length=limits.MAX_EVIDENCE)] = b""
    event_log: Annotated[bytes, Field(max_length=limits.MAX_EVIDENCE)] = b""


class Attested(Message):
    """Evidence, the keys it binds, and the profile, signed by the attested reply key.

    `nonce` is the request's, so an old answer is told from a forged one; evidence and signature cover it.
    """

    kind: Literal["attested"] = "attested"
    nonce: Bytes32
    evidence: Evidence
    binding: KeyBinding
    profile: Annotated[bytes, Field(max_length=limits.MAX_PROFILE)]
    profile_signature: Annotated[bytes, Field(min_length=64, max_length=64)]
