# SPDX-License-Identifier: Apache-2.0
"""How a registry says whom it wants to know: `WWW-Authenticate`, and where tokens come from. Pure."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from trustedpods.protocol.errors import BadInput

MAX_CHALLENGE = 4096
"""Characters of the header; real ones have some 200."""

_PART = re.compile(
    r'\s*(?:(?P<key>[A-Za-z][\w-]*)\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^\s",=]+))'
    r"|(?P<scheme>[A-Za-z][\w-]*)(?=\s|$|,))\s*,?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Challenge:
    """What is asked for: `basic`, or a token (`bearer`) of the server at *realm* for *service*."""

    scheme: str
    realm: str
    service: str


def parse_challenge(header: str, where: str) -> Challenge:
    """The first challenge that can be met; a token before a password. Raises `BadInput` where none can."""
    found = _challenges(header) if len(header) <= MAX_CHALLENGE else []
    for wanted in ("bearer", "basic"):
        for scheme, values in found:
            if scheme == wanted and (scheme == "basic" or values.get("realm")):
                return Challenge(scheme, values.get("realm", ""), values.get("service", ""))
    raise BadInput(
        f"the registry asks who you are in a way that is not known here: {header[:80]!r}",
        where=where,
        hint="fetch it with a tool that knows it, and give its archive (`docker save -o app.tar IMAGE`)",
    )


def _challenges(header: str) -> list[tuple[str, dict[str, str]]]:
    """Each scheme with its values; what is no challenge ends the list."""
    found: list[tuple[str, dict[str, str]]] = []
    at = 0
    while at < len(header) and (part := _PART.match(header, at)):
        at = part.end()
        if part["scheme"]:
            found.append((part["scheme"].lower(), {}))
        elif found:
            value = part["plain"] if part["quoted"] is None else re.sub(r"\\(.)", r"\1", part["quoted"])
            found[-1][1].setdefault(part["key"].lower(), value)
    return found


def is_loopback(host: str) -> bool:
    """Whether a host, with or without its port, is this machine: no wire leads there."""
    try:
        name = (urlsplit(f"//{host}").hostname or "") if "/" not in host else ""
    except ValueError:
        return False
    return name in {"localhost", "::1"} or bool(re.fullmatch(r"127(\.\d{1,3}){3}", name))


def checked_realm(realm: str, registry: str) -> str:
    """The *realm* of a challenge, where tokens may be asked for. Raises `BadInput`.

    It is https, but for a registry on this machine whose realm is on this machine too.
    """
    try:
        parts = urlsplit(realm)
        plain = parts.scheme == "http" and is_loopback(parts.netloc) and is_loopback(registry)
        sound = parts.hostname and parts.username is None and not parts.fragment
        if sound and (parts.scheme == "https" or plain) and realm.isprintable() and parts.port != 0:
            return realm
    except ValueError:
        pass
    raise BadInput(
        f"it sends people for a token to {realm[:128]!r}, which is not https; nothing was sent there",
        where=registry,
        hint="the registry's operator sets its realm",
    )
