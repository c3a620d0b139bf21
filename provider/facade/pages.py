# SPDX-License-Identifier: Apache-2.0
"""What a client sees when no pod answers: small pages that say why, and when to come back."""

from dataclasses import dataclass
from http import HTTPStatus


@dataclass(frozen=True, slots=True)
class Page:
    """One error page. `retry_after` is in seconds; 0 sends no such header."""

    status: HTTPStatus
    text: str
    retry_after: int = 0

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


NO_SUCH_HOST = Page(HTTPStatus.NOT_FOUND, "No pod is published under this host name here.")
BAD_ANSWER = Page(
    HTTPStatus.BAD_GATEWAY,
    "The pod ended the connection without an answer, or broke the protocol: it may have crashed.\n"
    "Its publisher sees why with `trustedpods logs` and `trustedpods status`.",
)
NO_SERVER = Page(HTTPStatus.SERVICE_UNAVAILABLE, "The pod cannot be reached just now.", 5)
TOO_SLOW = Page(HTTPStatus.GATEWAY_TIMEOUT, "The pod did not answer in time.")
HEADERS_TOO_SLOW = Page(HTTPStatus.REQUEST_TIMEOUT, "The request's headers did not arrive in time.")
TOO_LARGE = Page(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The request's body is larger than this service takes.")
TOO_MANY = Page(
    HTTPStatus.TOO_MANY_REQUESTS, "More requests than this service takes, or than one address may send.", 1
)

PROXY_PAGES = (NO_SUCH_HOST, BAD_ANSWER, NO_SERVER, TOO_SLOW, HEADERS_TOO_SLOW, TOO_LARGE, TOO_MANY)
"""The pages that HAProxy sends by itself, by status."""


def too_many_waiting() -> Page:
    """The pod is starting, and as many requests wait for it as may."""
    return Page(HTTPStatus.SERVICE_UNAVAILABLE, "The pod is starting; too many requests wait for it.", 2)


def waking_too_long(seconds: float) -> Page:
    """The pod did not get ready within the wake limit."""
    return Page(HTTPStatus.SERVICE_UNAVAILABLE, f"The pod was not ready within {seconds:g} seconds.", 10)


def cannot_wake(reason: str, retry_after: int) -> Page:
    """The daemon refused to wake the pod; *reason* holds nothing of the publisher's."""
    return Page(HTTPStatus.SERVICE_UNAVAILABLE, f"The pod cannot be started: {reason}.", max(1, retry_after))
