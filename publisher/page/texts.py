# SPDX-License-Identifier: Apache-2.0
"""Texts of the page that only a publisher has: logs, addresses, runways, money. Pure."""

import re
from urllib.parse import urlsplit

from trustedpods.protocol.local_page.texts import clean, one_line
from trustedpods.publisher.core.money import Token, duration_text

_PLAIN = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&()*+,;=%-]{1,300}")
"""What may stand in an address, and no longer than it is shown."""

MAX_LOG_BYTES = 24 * 1024
"""Of the log's tail: the page stays below 300 KiB, whatever has to be escaped in it."""


def log_text(data: bytes) -> str:
    """The last lines of what containers wrote."""
    text = data[-MAX_LOG_BYTES:].decode("utf-8", "replace").replace("\r\n", "\n").rstrip("\n")
    return "\n".join(map(one_line, text.split("\n")))


def web_address(url: str) -> str | None:
    """*url* where a browser may be sent there by a click; None for tcp, and for what is no address."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return None
    return url if parts.scheme in ("http", "https") and host and _PLAIN.fullmatch(url) else None


def lasts(seconds: int | None) -> str:
    """A runway in human terms."""
    return "no end at the present rate" if seconds is None else duration_text(seconds)


def amount(units: int | None, token: Token) -> str:
    """Four digits of an amount, with its symbol, or a dash."""
    return "-" if units is None else clean(token.rough(units))
