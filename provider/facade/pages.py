# SPDX-License-Identifier: Apache-2.0
"""What a client sees when no pod answers: small pages that say why, and when to come back."""

from dataclasses import dataclass
from http import HTTPStatus


@dataclass(frozen=True, slots=True)
class Page:
    """One error page. `retry_after` is in seconds, 0 sends none; `name` tells those of a status apart."""

    status: HTTPStatus
    text: str
    retry_after: int = 0
    name: str = ""

    @property
    def body(self) -> bytes:
        """What a person reads."""
        return f"{self.status.value} {self.status.phrase}\n\n{self.text}\n".encode()

    @property
    def fields(self) -> list[tuple[str, str]]:
        """The response's header fields, in whatever version of HTTP."""
        fields = [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Cache-Control", "no-store"),
            ("Content-Length", str(len(self.body))),
        ]
        return fields + ([("Retry-After", str(self.retry_after))] if self.retry_after else [])

    def raw(self) -> bytes:
        """The whole HTTP/1.1 response; the connection closes after it."""
        lines = [f"HTTP/1.1 {self.status.value} {self.status.phrase}"]
        lines += [f"{name}: {value}" for name, value in (*self.fields, ("Connection", "close"))]
        return "\r\n".join([*lines, "", ""]).encode() + self.body


HEAD_BYTES = 32 * 1024
"""Of a request's address, of its headers, and of an answer's: twice what large cookies and tokens take."""

HEAD_LINES = 256
"""Header lines, both ways."""

_BOUND = f"{HEAD_BYTES // 1024} KB in {HEAD_LINES} lines are the most."

NO_SUCH_HOST = Page(HTTPStatus.NOT_FOUND, "No pod is published under this host name here.")
BAD_ANSWER = Page(
    HTTPStatus.BAD_GATEWAY,
    "The pod ended the connection without an answer (it may have crashed), broke the protocol, or\n"
    f"answered with headers far too large: {_BOUND}\n"
    "Its publisher sees why with `trustedpods logs` and `trustedpods status`.",
)
ANSWER_TOO_LARGE = Page(
    HTTPStatus.BAD_GATEWAY, f"The headers of the pod's answer are too large: {_BOUND}", name="headers"
)
BROKEN = Page(HTTPStatus.INTERNAL_SERVER_ERROR, "The provider's proxy failed. Please try again.", 5)
NO_SERVER = Page(HTTPStatus.SERVICE_UNAVAILABLE, "The pod cannot be reached just now.", 5)
TOO_SLOW = Page(HTTPStatus.GATEWAY_TIMEOUT, "The pod did not answer in time.")
HEADERS_TOO_SLOW = Page(HTTPStatus.REQUEST_TIMEOUT, "The request's headers did not arrive in time.")
TOO_LARGE = Page(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The request's body is larger than this service takes.")
TOO_MANY = Page(
    HTTPStatus.TOO_MANY_REQUESTS, "More requests than this service takes, or than one address may send.", 1
)

PROXY_PAGES = (NO_SUCH_HOST, BAD_ANSWER, BROKEN, NO_SERVER, TOO_SLOW, HEADERS_TOO_SLOW, TOO_LARGE, TOO_MANY)
"""The pages that HAProxy sends by itself, by status."""

UNREADABLE = Page(
    HTTPStatus.BAD_REQUEST,
    "This is not a request as HTTP/1.0, HTTP/1.1 and HTTP/2 write it. What is often wrong: TLS spoken to a\n"
    "port without it, a fragment or bytes beyond ASCII in the address, two lengths, two names of the host.",
    name="form",
)
BAD_BODY = Page(
    HTTPStatus.BAD_REQUEST,
    "The request's body broke its own form: it ended before its length, or its chunks are none.",
    name="body",
)
CODED = Page(
    HTTPStatus.NOT_IMPLEMENTED,
    "Of Transfer-Encoding only `chunked`, alone, is understood here.",
    name="coding",
)
BAD_HOST = Page(
    HTTPStatus.BAD_REQUEST,
    "The Host header must be there, and be one DNS name with an optional port: it says which pod is meant.",
    name="host",
)
BAD_TARGET = Page(
    HTTPStatus.BAD_REQUEST,
    "The path can be read in more than one way (dots, slashes or control characters that are encoded or\n"
    "doubled), and pods share this host by their paths. Please write it plainly.",
    name="target",
)
NOT_A_PROXY = Page(HTTPStatus.NOT_IMPLEMENTED, "CONNECT is for proxies, and this is none.", name="connect")
TARGET_TOO_LONG = Page(
    HTTPStatus.REQUEST_URI_TOO_LONG,
    f"The request's address is longer than {HEAD_BYTES // 1024} KB.",
    name="target",
)
HEADERS_TOO_LARGE = Page(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    f"The request's headers are too large: {_BOUND}",
    name="headers",
)

STANDING_BY = Page(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "Another node of this provider serves its pods now. Please ask again: the name leads there soon.",
    5,
    name="standing-by",
)

RULE_PAGES = (
    UNREADABLE,
    CODED,
    BAD_HOST,
    BAD_TARGET,
    NOT_A_PROXY,
    TARGET_TOO_LONG,
    HEADERS_TOO_LARGE,
    ANSWER_TOO_LARGE,
    STANDING_BY,
)
"""The pages that HAProxy sends where a rule of ours says so."""


PARKED = Page(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "The publisher of this pod has stopped it, and brings it back with `trustedpods start`.",
)
"""Of a pod that its publisher stopped: that is no secret of his, and when it ends nobody knows."""


def too_many_waiting() -> Page:
    """The pod is starting, and as many requests wait for it as may."""
    return Page(HTTPStatus.SERVICE_UNAVAILABLE, "The pod is starting; too many requests wait for it.", 2)


def waking_too_long(seconds: float) -> Page:
    """The pod did not get ready within the wake limit."""
    return Page(HTTPStatus.SERVICE_UNAVAILABLE, f"The pod was not ready within {seconds:g} seconds.", 10)


def cannot_wake(retry_after: int) -> Page:
    """The daemon refused to wake the pod. Why is the publisher's to know: it may hold a pod's own words."""
    text = "The pod cannot be started just now. Its publisher sees why with `trustedpods status`."
    return Page(HTTPStatus.SERVICE_UNAVAILABLE, text, max(1, retry_after))
