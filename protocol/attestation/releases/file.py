# SPDX-License-Identifier: Apache-2.0
"""Release files as bytes: written in one form only, signed by a release key, read without trust."""

import json
from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import ValidationError

from trustedpods.protocol.attestation.releases.keys import current_keys
from trustedpods.protocol.attestation.releases.model import ImageRelease, SignedRelease
from trustedpods.protocol.errors import BadInput, Refused
from trustedpods.protocol.limits import MIB

MAX_RELEASE: Final = MIB
"""Sixty images of fifty shapes have half of it."""


def sign_release(release: ImageRelease, key: Ed25519PrivateKey) -> bytes:
    """The file of *release*, signed by *key*."""
    signed = SignedRelease(
        release=release,
        key=key.public_key().public_bytes_raw().hex(),
        signature=key.sign(release.signed).hex(),
    )
    return _written(signed)


def read_release(raw: bytes, where: str, pair: Sequence[str]) -> ImageRelease:
    """What a file says, once one of the release keys has signed it.

    *pair* are the two public keys (hexadecimal) that the client ships; the file's own successions lead from
    them to those that hold now. BadInput (at *where*) for what is no such file; Refused by "release-keys",
    "release-forged".
    """
    signed = _parsed(raw, where)
    release = signed.release
    keys = current_keys(pair, release.successions, where)
    if signed.key not in keys:
        raise Refused(
            f"the release file is signed by {signed.key[:16]}..., which is no release key",
            where=where,
            rule="release-forged",
        )
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(signed.key)).verify(
            bytes.fromhex(signed.signature), release.signed
        )
    except (InvalidSignature, ValueError):
        raise Refused(
            f"the release file was changed after {signed.key[:16]}... signed it",
            where=where,
            rule="release-forged",
        ) from None
    return release


def is_retired(raw: bytes, where: str, retired: Sequence[Sequence[str]]) -> bool:
    """Whether a file is validly signed by a pair of keys, or by its successors, that is among the *retired*.

    BadInput (at *where*) for what is no release file.
    """
    for pair in retired:
        try:
            read_release(raw, where, pair)
        except Refused:
            continue
        return True
    return False


def _parsed(raw: bytes, where: str) -> SignedRelease:
    if len(raw) > MAX_RELEASE:
        raise BadInput(f"a release file of more than {MAX_RELEASE // MIB} MiB", where=where)
    try:
        signed = SignedRelease.model_validate_json(raw)
    except ValidationError as invalid:
        first = invalid.errors(include_url=False, include_input=False, include_context=False)[0]
        field = ".".join(map(str, first["loc"])) or "it"
        raise BadInput(f"not a release file: {field}: {first['msg']}", where=where) from None
    if _written(signed) != raw:
        raise BadInput("not a release file: it is not written as a release file is", where=where)
    return signed


def _written(signed: SignedRelease) -> bytes:
    tree = signed.model_dump(mode="json")
    return (json.dumps(tree, sort_keys=True, indent=1) + "\n").encode()
