# SPDX-License-Identifier: Apache-2.0
"""Release keys: two at any time, either of which may sign the other's successor. A lost one is replaced so.

Whoever has stolen one of the two can replace the other: then only a new version of the client, with a new
pair, helps. So the two lie with two people.
"""

from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from trustedpods.protocol.attestation.releases.model import SuccessionModel
from trustedpods.protocol.errors import Refused

RELEASE_KEYS: Final[tuple[str, ...]] = ()
"""The pair that this version ships, as hexadecimal public keys.

There is none yet: no image was published. docs/guest.md says how the pair comes here.
"""

RETIRED_KEYS: Final[tuple[tuple[str, str], ...]] = ()
"""The pairs that earlier versions shipped, and this one trusts no more.

A file of one of them that a client has kept gives way to those of today's pair. Any other kept file that
today's pair has not signed stays: an older client must not set aside what a newer one has seen.
"""

PAIR: Final = 2
_TAG: Final = b"trusted-pods/release-key/v1\n"


def sign_succession(replaces: str, key: str, by: Ed25519PrivateKey) -> SuccessionModel:
    """The statement that *key* takes the place of *replaces*, signed by the key beside it."""
    return SuccessionModel(
        replaces=replaces,
        key=key,
        by=by.public_key().public_bytes_raw().hex(),
        signature=by.sign(_statement(replaces, key)).hex(),
    )


def current_keys(pair: Sequence[str], successions: Sequence[SuccessionModel], where: str) -> frozenset[str]:
    """The two keys that hold after *successions*.

    Refused by "release-keys" where the client ships no pair, "release-forged" where a step does not follow.
    """
    if len(set(pair)) != PAIR:
        raise Refused(
            "this version of the client knows no release keys: no machine image was published yet",
            rule="release-keys",
            hint="list measurements in a policy of your own",
        )
    keys, used = set(pair), set(pair)
    for number, succession in enumerate(successions, 1):
        other = keys - {succession.replaces}
        if other != {succession.by} or succession.key in used or not _genuine(succession):
            raise Refused(
                f"succession {number} of release keys is not signed by the key beside the replaced one",
                where=where,
                rule="release-forged",
            )
        keys = other | {succession.key}
        used.add(succession.key)
    return frozenset(keys)


def _genuine(succession: SuccessionModel) -> bool:
    statement = _statement(succession.replaces, succession.key)
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(succession.by)).verify(
            bytes.fromhex(succession.signature), statement
        )
    except (InvalidSignature, ValueError):
        return False
    return True


def _statement(replaces: str, key: str) -> bytes:
    return _TAG + bytes.fromhex(replaces) + bytes.fromhex(key)
