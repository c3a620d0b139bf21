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

    def raw(self) -> bytes:
        """The whole HTTP/1.1 response; the connection closes after it."""
        body = f"{self.status.value} {self.status.phrase}\n\n{self.text}\n".encode()
        lines = [
            f"HTTP/1.1 {self.status.value} {self.status.phrase}",
            "Content-Type: text/plain; charset=utf-8",
            "Cache-Control: no-store",
            f"Content-Length: {len(body)}",
            "Connection: close",
        ]
        if self.retry_after:
            lines.append(f"Retry-After: {self.retry_after}")
        return "\r\n".join([*lines, "", ""]).encode() + body


NO_SUCH_HOST = Page(HTTPStatus.NOT_FOUND, "No pod is published under this host name here.")
BAD_ANSWER = Page(
    HTTPStatus.BAD_GATEWAY, "The pod closed the connection without an answer, or broke the protocol."
)
NO_SERVER = Page(HTTPStatus.SERVICE_UNAVAILABLE, "The pod cannot be reached just now.", 5)
TOO_SLOW = Page(HTTPStatus.GATEWAY_TIMEOUT, "The pod did not answer in time.")
HEADERS_TOO_SLOW = Page(HTTPStatus.REQUEST_TIMEOUT, "The request's headers did not arrive in time.")

PROXY_PAGES = (BAD_ANSWER, NO_SERVER, TOO_SLOW, HEADERS_TOO_SLOW)
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
