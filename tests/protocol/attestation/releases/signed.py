# SPDX-License-Identifier: Apache-2.0
"""Release files for tests, signed by keys of tests."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from trustedpods.protocol.attestation.releases.file import sign_release
from trustedpods.protocol.attestation.releases.model import ImageRelease

FIRST, SECOND, THIRD, STRANGER = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in range(1, 5))


def public(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes_raw().hex()


PAIR = (public(FIRST), public(SECOND))
TCB = {"bl": 10, "tee": 0, "snp": 23, "ucode": 84, "fmc": None}


def shape(digest: str = "11", vcpus: int = 2, model: str = "EPYC-v4") -> dict:
    return {"vcpus": vcpus, "model": model, "features": 1, "digest": digest * 48}


def image(version: str = "0.2.0", snp=None, tdx=None, **changes) -> dict:
    snp = [shape()] if snp is None else snp
    return {
        "version": version,
        "tag": f"v{version}",
        "artefacts": {"kernel": "aa" * 32},
        "snp": snp,
        "tdx": tdx or [],
        "least_snp": {"Genoa": TCB, "Milan": TCB} if snp else {},
        "least_tdx": "06010300000000000000000000000000" if tdx else None,
        "withdrawn": None,
    } | changes


def withdrawn(reason: str = "its kernel lets the host in") -> dict:
    return {"on": "2026-12-24T10:00:00Z", "reason": reason}


def release(number: int = 1, images=None, before=None, **changes) -> ImageRelease:
    return ImageRelease.model_validate(
        {
            "version": 1,
            "number": number,
            "made_at": "2026-12-01T00:00:00Z",
            "not_after": "2027-03-01T00:00:00Z",
            "before": ["0" * 64] * (number - 1) if before is None else before,
            "successions": [],
            "images": [image()] if images is None else images,
        }
        | changes
    )


def after(*files: ImageRelease, **changes) -> ImageRelease:
    """The file that follows *files*, which are all that there were."""
    return release(len(files) + 1, before=[file.digest for file in files], **changes)


def signed(what: ImageRelease, key: Ed25519PrivateKey = FIRST) -> bytes:
    return sign_release(what, key)
