# SPDX-License-Identifier: Apache-2.0
"""How a provider presents itself: evidence, keys and profile in one answer, for one nonce."""

import hashlib
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from trustedpods.protocol.attestation.checks import Check, refusal
from trustedpods.protocol.evidence import Attested, Evidence, KeyBinding

_TAG: Final = b"trusted-pods/profile/v1\0"


def _signed_bytes(nonce: bytes, profile: bytes) -> bytes:
    return _TAG + nonce + hashlib.sha256(profile).digest()


def present(
    nonce: bytes, evidence: Evidence, binding: KeyBinding, profile: bytes, signing_key: Ed25519PrivateKey
) -> Attested:
    """The answer to an `AttestRequest` with this *nonce*.

    *evidence* is over `report_data(nonce, binding)`; *signing_key* is the reply key in *binding*;
    *profile* is a coded `Profile`, whose SHA-256 stands in the registry.
    """
    signature = signing_key.sign(_signed_bytes(nonce, profile))
    return Attested(
        nonce=nonce, evidence=evidence, binding=binding, profile=profile, profile_signature=signature
    )


def check_profile(attested: Attested) -> None:
    """EvidenceRefused (rule "profile-signature") unless the bound reply key signed the profile."""
    signed = _signed_bytes(attested.nonce, attested.profile)
    try:
        key = Ed25519PublicKey.from_public_bytes(attested.binding.reply_key)
        key.verify(attested.profile_signature, signed)
    except (InvalidSignature, ValueError) as error:
        raise refusal(Check.PROFILE_SIGNATURE, "the profile is not signed by the attested machine") from error
