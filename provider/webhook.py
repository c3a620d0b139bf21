# SPDX-License-Identifier: Apache-2.0
"""The door for warnings to a publisher's own URL: one small signed POST, and nothing comes back.

The URL is a stranger's, so the provider must not become his hand in other networks: names are
resolved once and every address must be public (except where the operator allows private ones, in a
localnet), the connection goes to exactly the address that was checked, redirects are not followed,
and of the answer only the status is looked at.
"""

import ipaddress
import socket
from urllib.parse import SplitResult, urlsplit

import httpx
import trio

from trustedpods.protocol.errors import NetworkFailure, Refused

SEND_WITHIN_S = 10.0
SIGNATURE_HEADER = "X-Trustedpods-Signature"
TAG = b"trusted-pods/webhook/v1\0"
"""Before the body in what is signed, so that no other signature of the key is one of these."""

MAX_BODY = 4096
"""A warning is a few lines."""

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
    literal = _address(parts.hostname)
    if literal is not None and not (allow_private or _is_public(literal)):
        raise Refused("a webhook's address must be public", rule="webhook")
    return parts


class WebhookDoor:
    """Sends. `allow_private`: also to addresses that are not public, for a localnet."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private

    async def send(self, url: str, body: bytes, signature: bytes) -> None:
        """POST *body* with its signature.

        Refused (rule `webhook`) where it must not go, NetworkFailure when it was not taken.
        """
        parts = check_url(url, allow_private=self._allow_private)
        assert parts.hostname is not None
        assert len(body) <= MAX_BODY
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            with trio.fail_after(SEND_WITHIN_S):
                address = await self._resolve(parts.hostname, port)
                status = await _post(parts, address, port, body, signature)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, trio.TooSlowError) as error:
            raise NetworkFailure(f"the webhook does not answer ({type(error).__name__})") from None
        if not 200 <= status < 300:
            raise NetworkFailure(f"the webhook answered HTTP {status}")

    async def _resolve(self, host: str, port: int) -> str:
        """One address of *host*, all of which may be sent to: the connection goes to it and no other."""
        found = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [str(entry[4][0]) for entry in found]
        for text in addresses:
            literal = _address(text)
            if literal is None or not (self._allow_private or _is_public(literal)):
                raise Refused("the webhook's name leads to an address that is not public", rule="webhook")
        return addresses[0]


async def _post(parts: SplitResult, address: str, port: int, body: bytes, signature: bytes) -> int:
    """To the checked address, under the name that was asked for, certificate included."""
    literal = f"[{address}]" if ":" in address else address
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {
        "Host": parts.netloc,
        "Content-Type": "application/json",
        SIGNATURE_HEADER: f"ed25519={signature.hex()}",
        "User-Agent": "trustedpods-provider",
    }
    async with (
        httpx.AsyncClient(timeout=SEND_WITHIN_S, follow_redirects=False, trust_env=False) as client,
        client.stream(
            "POST",
            f"{parts.scheme}://{literal}:{port}{path}",
            content=body,
            headers=headers,
            extensions={"sni_hostname": parts.hostname},
        ) as response,
    ):
        return response.status_code  # its body is a stranger's, and is not read


def _address(text: str) -> "ipaddress.IPv4Address | ipaddress.IPv6Address | None":
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None


def _is_public(address: "ipaddress.IPv4Address | ipaddress.IPv6Address") -> bool:
    """Global, and not a way around: mapped, translated and tunnelled IPv4 counts as what it holds."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo and address.teredo[1])
        if inner:
            return _is_public(inner)
        if address in _NAT64:
            return _is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return address.is_global and not address.is_multicast


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
