# SPDX-License-Identifier: Apache-2.0
"""A page as an HTTP/2 response (RFC 9113), for a connection that carries one request. Pure.

The activator speaks no HTTP/2 but this: it sends the same few frames to whoever it gives up on.
HAProxy is told to put one request on each of its connections, so the stream is always the first.
"""

from trustedpods.provider.facade.pages import Page

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
MAX_BEFORE_HEADERS = 64 * 1024
"""Frames that may come before the request's: settings and window sizes are some hundred bytes."""

_HEAD = 9
_DATA, _HEADERS, _SETTINGS = 0, 1, 4
_END_STREAM, _END_HEADERS, _ACK = 1, 4, 1
_STATUS_NAME = 8
"""`:status` in the static table of HPACK (RFC 7541, appendix A)."""


def greeting() -> bytes:
    """Settings, and that we took the other side's: HAProxy sends no request before it has them."""
    return _frame(_SETTINGS, 0, 0, b"") + _frame(_SETTINGS, _ACK, 0, b"")


def h2_response(page: Page) -> bytes:
    """Headers and body, of which the last frame ends the stream; the `greeting` went before."""
    body = page.body
    fields = b"".join(_field(name.lower(), value) for name, value in page.fields)
    status = bytes([_STATUS_NAME]) + _text(str(page.status.value))
    return _frame(_HEADERS, _END_HEADERS, 1, status + fields) + _frame(_DATA, _END_STREAM, 1, body)


def has_request(data: bytes) -> bool:
    """Whether the bytes that a client began a connection with hold the start of a request.

    True too for what is no HTTP/2: waiting for more would not help.
    """
    if not data.startswith(PREFACE):
        return not PREFACE.startswith(data[: len(PREFACE)]) or len(data) > len(PREFACE)
    at = len(PREFACE)
    while len(data) >= at + _HEAD:
        if data[at + 3] == _HEADERS:
            return True
        at += _HEAD + int.from_bytes(data[at : at + 3], "big")
    return len(data) > MAX_BEFORE_HEADERS


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def _field(name: str, value: str) -> bytes:
    """A literal header field, not indexed, with a name of its own."""
    return b"\0" + _text(name) + _text(value)


def _text(text: str) -> bytes:
    """A string of HPACK without Huffman's code; up to 126 bytes have a length of one byte."""
    data = text.encode()[:126]
    return bytes([len(data)]) + data
