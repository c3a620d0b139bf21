#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the next release file of measurements: `python deploy/release/measurements.py DRAFT [FILE-BEFORE]`.

DRAFT is JSON with `made_at`, `not_after`, `images` and, where a key was replaced, one more of `successions`.
Its images are what `trustedpods-provider guest measure -o json` prints, with version, tag, least firmware and
whether they are withdrawn. Number and past come from the file before, and the images that it withdraws, for a
year; the first has none. $RELEASE_KEY, an
Ed25519 key in PEM, signs. What is written is what a client with the pair of keys of
`protocol/attestation/releases/keys.py` accepts; else nothing is.
"""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import ValidationError

from trustedpods.protocol.attestation.releases.file import read_release, sign_release
from trustedpods.protocol.attestation.releases.keys import RELEASE_KEYS
from trustedpods.protocol.attestation.releases.model import VERSION, ImageRelease
from trustedpods.protocol.attestation.releases.order import carried_withdrawals, check_follows
from trustedpods.protocol.errors import BadInput, TrustedPodsError


def next_file(draft: bytes, before: bytes | None, key: Ed25519PrivateKey, pair: Sequence[str]) -> bytes:
    """The signed file that follows *before*. BadInput or Refused where no client would take it."""
    last = None if before is None else read_release(before, "the file before", pair)
    past = [] if last is None else [*last.before, last.digest]
    tree = _tree(draft)
    kept = [] if last is None else [one.model_dump(mode="json") for one in last.successions]
    tree |= {
        "version": VERSION,
        "number": len(past) + 1,
        "before": past,
        "successions": [*kept, *tree.get("successions", [])],
    }
    release = _release(tree)
    if last is not None:
        images = [*release.images, *carried_withdrawals(last, release)]
        images.sort(key=lambda image: tuple(map(int, image.version.split("."))))
        release = _release(tree | {"images": [image.model_dump(mode="json") for image in images]})
    made = sign_release(release, key)
    if last is not None:
        check_follows(last, read_release(made, "the new file", pair), "the new file")
    read_release(made, "the new file", pair)
    return made


def _release(tree: dict[str, Any]) -> ImageRelease:
    try:
        return ImageRelease.model_validate_json(json.dumps(tree))
    except ValidationError as invalid:
        first = invalid.errors(include_url=False, include_input=False, include_context=False)[0]
        raise BadInput(
            f"{'.'.join(map(str, first['loc'])) or 'it'}: {first['msg']}", where="the draft"
        ) from None


def _tree(draft: bytes) -> dict[str, Any]:
    try:
        tree = json.loads(draft)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"not JSON: {error}", where="the draft") from None
    if not isinstance(tree, dict) or not isinstance(tree.get("successions", []), list):
        raise BadInput("not an object with made_at, not_after, images and successions", where="the draft")
    return tree


def _key() -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(Path(os.environ["RELEASE_KEY"]).read_bytes(), password=None)
    except KeyError:
        raise BadInput("it names no file", where="$RELEASE_KEY") from None
    except (ValueError, TypeError) as error:
        raise BadInput(f"no key: {error}", where="$RELEASE_KEY") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise BadInput("not an Ed25519 key", where="$RELEASE_KEY")
    return key


def main(words: list[str], pair: Sequence[str] = RELEASE_KEYS) -> int:
    """The new file to the standard output; exit code 2 where nothing was made, and why."""
    try:
        if len(words) not in (1, 2):
            raise BadInput("name a draft, and the file before unless it is the first")
        draft, *before = [Path(word).read_bytes() for word in words]
        sys.stdout.write(next_file(draft, before[0] if before else None, _key(), pair).decode())
    except (TrustedPodsError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
