# SPDX-License-Identifier: Apache-2.0
"""Which URLs a provider sends warnings to: the web's own, and nothing inside its network. Pure."""

import ipaddress
from urllib.parse import SplitResult, urlsplit

from trustedpods.protocol.errors import Refused

_WEB_PORTS = frozenset({80, 443})
_FIRST_FREE_PORT = 1024
"""Below it only the web's own ports: a POST must not be mail or another service's command."""


def check_url(url: str, *, allow_private: bool) -> SplitResult:
    """The URL's parts; Refused (rule `webhook`) where the provider never sends to it."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Refused("the webhook is not a URL", rule="webhook") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
        raise Refused("a webhook is an http or https URL without user and password", rule="webhook")
    if port is not None and port not in _WEB_PORTS and port < _FIRST_FREE_PORT:
        raise Refused(f"no webhook at port {port}", rule="webhook")
    literal = literal_address(parts.hostname)
    if literal is not None and not (allow_private or is_public(literal)):
        raise Refused("a webhook's address must be public", rule="webhook")
    return parts


def literal_address(text: str) -> "ipaddress.IPv4Address | ipaddress.IPv6Address | None":
    """The address that *text* spells (its zone left off), or None for a name."""
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None


def is_public(address: "ipaddress.IPv4Address | ipaddress.IPv6Address") -> bool:
    """Global, and not a way around: mapped, translated and tunnelled IPv4 counts as what it holds."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo and address.teredo[1])
        if inner:
            return is_public(inner)
        if address in _NAT64:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return address.is_global and not address.is_multicast


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
