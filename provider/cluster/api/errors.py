# SPDX-License-Identifier: Apache-2.0
"""The only place where errors of HTTP and of the API server become ours. Pure.

A status 404 means "not there" only when the API server itself says so, with a `Status` object;
any other 404 (a proxy, a wrong address) is a `NetworkFailure` like every other odd answer.
"""

import json
from typing import Any

import httpx
import trio

from trustedpods.protocol.errors import NetworkFailure, Refused, RemoteProtocolError, TrustedPodsError


class NotThere(Refused):
    """The API server says that the object does not exist. Doors turn it into None or nothing."""


class ImmutableChange(Refused):
    """An apply would change what Kubernetes never lets change; only a new object helps."""


class NamespaceEnding(Refused):
    """The namespace is being deleted and takes nothing new; a fresh name helps."""


class Conflict(Refused):
    """Somebody else changed the object in between; read it again and repeat."""


class Taken(Refused):
    """Somebody else has the address, or the port of nodes, that a Service asked for; another helps."""


class QuotaUnknown(Refused):
    """The namespace's quota is new: nobody has counted yet what it bounds; a moment later it is taken."""


TRANSPORT = (
    httpx.HTTPError,
    httpx.StreamError,
    httpx.InvalidURL,
    OSError,
    trio.TooSlowError,
    trio.BrokenResourceError,
)
"""What a call over HTTP can raise before there is an answer."""

_TAKEN_WORDS = "already allocated"
"""Of a clusterIP and of a nodePort alike (`ErrAllocated` of the API server's two allocators)."""

QUOTA_UNKNOWN_WORDS = "status unknown for quota"
"""Of the API server's admission, until the controller of quotas has looked at a new one."""

_IMMUTABLE_WORDS = (
    "field is immutable",
    "is immutable after creation",
    "updates to immutable",
    "may not change",
)


def from_answer(status: int, body: bytes, where: str) -> TrustedPodsError:
    """The error that an answer of the API server means; *where* names the call."""
    said = _status_object(body)
    if said is None:
        return NetworkFailure(f"answered {status}, not as the Kubernetes API does", where=where)
    words = str(said.get("message") or said.get("reason") or f"status {status}")
    reason = str(said.get("reason") or "")
    if status == 404:
        return NotThere(words, where=where, rule=reason)
    if status == 410:
        return Conflict(words, where=where, rule=reason)
    if status == 429 or status >= 500:
        return NetworkFailure(words, where=where, rule=reason)
    return _refusal(status, said, words, reason, where)


def _refusal(status: int, said: dict[str, Any], words: str, reason: str, where: str) -> Refused:
    causes = (said.get("details") or {}).get("causes") or []
    if any(cause.get("reason") == "NamespaceTerminating" for cause in causes):
        return NamespaceEnding(words, where=where, rule="namespace-terminating")
    if status == 422 and _TAKEN_WORDS in words:
        return Taken(words, where=where, rule="taken")
    if status == 422 and _is_immutable(words, causes):
        hint = "Kubernetes never changes this in place: delete the object, or take a new namespace"
        return ImmutableChange(words, where=where, rule="immutable", hint=hint)
    if status == 409:
        return Conflict(words, where=where, rule=reason)
    if status == 403 and QUOTA_UNKNOWN_WORDS in words:
        return QuotaUnknown(words, where=where, rule=reason)
    return Refused(words, where=where, rule=reason or None)


def _is_immutable(words: str, causes: list[dict[str, Any]]) -> bool:
    texts = [words, *(str(cause.get("message", "")) for cause in causes)]
    fixed_spec = any(
        cause.get("reason") == "FieldValueForbidden" and cause.get("field") == "spec" for cause in causes
    )
    return fixed_spec or any(phrase in text for text in texts for phrase in _IMMUTABLE_WORDS)


def _status_object(body: bytes) -> dict[str, Any] | None:
    try:
        said = json.loads(body)
    except ValueError:
        return None
    return said if isinstance(said, dict) and said.get("kind") == "Status" else None


def from_transport(error: Exception, where: str) -> NetworkFailure:
    """The error that trouble on the way to the API server or the registry means."""
    if isinstance(error, httpx.TimeoutException | trio.TooSlowError):
        return NetworkFailure("no answer in time", where=where)
    if isinstance(error, httpx.ProtocolError | httpx.DecodingError):
        return RemoteProtocolError(f"broken answer: {error}", where=where)
    text = str(error) or type(error).__name__
    return NetworkFailure(f"cannot be reached: {text}", where=where)
