# SPDX-License-Identifier: Apache-2.0
"""What a person writes as the place of backups: a folder, or a bucket of S3; and the store that it means."""

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from trustedpods.protocol.errors import BadInput
from trustedpods.publisher.backups.door import ObjectStore, is_object_name
from trustedpods.publisher.backups.folder import FolderStore
from trustedpods.publisher.backups.s3 import S3Place, S3Store

MAX_PLACE = 1024
"""Characters of a place: a path, or an address with a bucket and a few words."""

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", re.ASCII)
_HINT = "a folder, s3://BUCKET/WORDS, or s3+https://HOST[:PORT]/BUCKET/WORDS"


def whole_place(text: str) -> str:
    """*text* as it is kept: a folder with its whole path, so that it means the same from everywhere."""
    if not text or len(text) > MAX_PLACE or any(ord(letter) < 32 for letter in text):
        raise BadInput(f"{text[:64]!r} is no place for backups", where="--store", hint=_HINT)
    if "://" in text:
        s3_place(text)
        return text
    return str(Path(text).expanduser().absolute())


def require_folder(place: str) -> None:
    """Refuse a folder that is not there, where files are looked for: a wrong path is no empty place."""
    whole = whole_place(place)
    if "://" not in whole and not Path(whole).exists():
        raise BadInput("there is no such folder", where=whole, hint="the one where `backup` kept them")


def open_store(place: str) -> ObjectStore:
    """The store at *place*; nothing is asked of it yet. `BadInput` for a place that is none."""
    whole = whole_place(place)
    return S3Store(s3_place(whole)) if "://" in whole else FolderStore(Path(whole))


def s3_place(text: str) -> S3Place:
    """The bucket that *text* names. `BadInput` for any other, and where a name or password is in it."""
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        raise BadInput(f"{text[:64]!r} is no address", where="--store", hint=_HINT) from None
    if "@" in url.netloc or url.query or url.fragment:
        raise BadInput(
            "credentials and options are not written into the place of backups",
            where="--store",
            hint="AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment are taken",
        )
    path = [unquote(word) for word in url.path.split("/") if word]
    endpoint = None
    if url.scheme == "s3":
        path = [url.netloc, *path]
    elif url.scheme in {"s3+https", "s3+http"} and url.hostname:
        host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
        endpoint = f"{url.scheme.removeprefix('s3+')}://{host}" + ("" if port is None else f":{port}")
    else:
        raise BadInput(f"{text[:64]!r} is no place for backups", where="--store", hint=_HINT)
    bucket, prefix = (path[0] if path else ""), "/".join(path[1:])
    if not _BUCKET.fullmatch(bucket) or (prefix and not is_object_name(prefix)):
        raise BadInput(f"{text[:64]!r} names no bucket, or odd words in it", where="--store", hint=_HINT)
    return S3Place(bucket, prefix, endpoint, text)
