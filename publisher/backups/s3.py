# SPDX-License-Identifier: Apache-2.0
"""The only door to S3: backups as objects of a bucket, by obstore (the extra `s3`).

Credentials come from where programs for S3 take them: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`,
`AWS_SESSION_TOKEN`, or the machine's or the web's identity. They are in no flag, no file of ours, no error.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, NoReturn

from trustedpods.protocol.errors import BadInput, StoreFailure
from trustedpods.publisher.backups.door import (
    MAX_LISTED,
    MAX_SHOWN,
    StoredObject,
    check_object_name,
    is_object_name,
)

if TYPE_CHECKING:
    from obstore.store import S3Config
    from obstore.store import S3Store as Bucket

REQUEST_S = 60
"""One object in one request: 9 MiB over a line of 1.2 Mbit/s."""

CONNECT_S = 10
RETRIES = 4
RETRY_WITHIN_S = 90
"""Faults of the line and of a busy server are met again so often and so long, with growing pauses."""

_METADATA = "//169.254."
"""Where a cloud's machine asks who it is: what is asked last."""

_CODE = re.compile(r"<Code>([A-Za-z0-9.]{1,64})</Code>", re.ASCII)


@dataclass(frozen=True, slots=True)
class S3Place:
    """A bucket, words before all names in it, and the server (None: what the environment says, else AWS)."""

    bucket: str
    prefix: str
    endpoint: str | None
    written: str


class S3Store:
    """The bucket; see `ObjectStore`. `BadInput` where obstore is not installed."""

    def __init__(self, place: S3Place) -> None:
        self._place = place
        self._bucket = _opened(place)

    @property
    def where(self) -> str:
        """As it was written."""
        return self._place.written

    def put(self, name: str, data: bytes) -> None:
        """One request: S3 shows an object when all of it is there."""
        path = self._path(name)
        try:
            self._bucket.put(path, data, use_multipart=False)
        except Exception as error:  # noqa: BLE001 - the library's errors have no common type but this
            self._fail("keep", name, error)

    def get(self, name: str, most: int) -> bytes | None:
        """Its bytes; of a larger one nothing is read."""
        path = self._path(name)
        try:
            found = self._bucket.get(path)
            if found.meta["size"] <= most:
                data = found.bytes().to_bytes()
                if len(data) <= most:
                    return data
        except FileNotFoundError as error:
            if _NO_BUCKET in str(error):
                self._fail("read", name, error)
            return None
        except Exception as error:  # noqa: BLE001 - as above
            self._fail("read", name, error)
        raise StoreFailure(f"{name} has more than {most} bytes", where=self.where, rule="backup-store")

    def listed(self, prefix: str) -> Iterator[StoredObject]:
        """All pages of the listing."""
        before, count = f"{self._place.prefix}/" if self._place.prefix else "", 0
        path = self._path(prefix)
        try:
            for page in self._bucket.list(path):
                if count > MAX_LISTED:
                    break
                for meta in page:
                    name = meta["path"].removeprefix(before)
                    count += 1
                    if count > MAX_LISTED:
                        break
                    if is_object_name(name) and name.startswith(f"{prefix}/"):
                        yield StoredObject(name, meta["size"])
        except Exception as error:  # noqa: BLE001 - as above
            self._fail("list", prefix, error)
        if count > MAX_LISTED:
            raise StoreFailure(f"more than {MAX_LISTED} objects", where=self.where, rule="backup-store")

    def delete(self, name: str) -> None:
        """One that is not there is none."""
        path = self._path(name)
        try:
            self._bucket.delete(path)
        except FileNotFoundError as error:
            if _NO_BUCKET in str(error):
                self._fail("remove", name, error)
        except Exception as error:  # noqa: BLE001 - as above
            self._fail("remove", name, error)

    def _path(self, name: str) -> str:
        check_object_name(name)
        return f"{self._place.prefix}/{name}" if self._place.prefix else name

    def _fail(self, what: str, name: str, error: Exception) -> NoReturn:
        why, hint = _told(error)
        text = f"cannot {what} {name}: {why}"
        raise StoreFailure(text, where=self.where, rule="backup-store", hint=hint) from None


_NO_BUCKET = "NoSuchBucket"
_CREDENTIALS = frozenset(
    {"AccessDenied", "ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch"}
)
"""What servers of S3 answer to who may not ask."""


def _opened(place: S3Place) -> "Bucket":
    try:
        from obstore.store import S3Store as Bucket  # noqa: PLC0415 - an extra, and only who has S3 waits for it
    except ImportError:
        hint = "pip install 'trusted-pods[s3]'"
        raise BadInput("no client for S3 is installed", where=place.written, hint=hint) from None
    endpoint = place.endpoint
    plain = (endpoint or os.environ.get("AWS_ENDPOINT_URL", "")).startswith("http://")
    named: S3Config = {} if endpoint is None else {"endpoint": endpoint}
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    try:
        return Bucket(
            place.bucket,
            region=region,
            virtual_hosted_style_request=False,
            client_options={
                "allow_http": plain,
                "timeout": timedelta(seconds=REQUEST_S),
                "connect_timeout": timedelta(seconds=CONNECT_S),
            },
            retry_config={"max_retries": RETRIES, "retry_timeout": timedelta(seconds=RETRY_WITHIN_S)},
            config=named,
        )
    except Exception as error:  # noqa: BLE001 - as above
        raise BadInput(f"no bucket: {_told(error)[0]}", where=place.written) from None


def _told(error: Exception) -> tuple[str, str | None]:
    """Why, in few words, and what to do: a server's whole answer may repeat what it was asked with."""
    text = str(error)
    found = _CODE.search(text)
    code = found.group(1) if found else ""
    name = type(error).__name__
    if _METADATA in text:
        hint = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment are taken"
        return "no credentials are set, and this machine has no identity of its own", hint
    if name in {"PermissionDeniedError", "UnauthenticatedError"} or code in _CREDENTIALS:
        hint = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment must fit the bucket"
        return f"the server refuses these credentials {code}".rstrip(), hint
    if code:
        return f"the server says {code}", None
    line = next((one.strip() for one in text.splitlines() if one.strip()), name)
    return line[:MAX_SHOWN], None
