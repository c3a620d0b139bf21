# SPDX-License-Identifier: Apache-2.0
"""The door for warnings to a publisher's own URL: one small signed POST, and nothing comes back.

The URL is a stranger's, so the provider must not become his hand in other networks: names are
resolved once and every address must be public (except where the operator allows private ones, in a
localnet), the connection goes to exactly the address that was checked, redirects are not followed,
and of the answer only the status is looked at.
"""

import socket
from urllib.parse import SplitResult

import httpx
import trio

from trustedpods.protocol.errors import NetworkFailure, Refused
from trustedpods.provider.core.webhook_url import check_url, is_public, literal_address

SEND_WITHIN_S = 10.0
SIGNATURE_HEADER = "X-Trustedpods-Signature"
TAG = b"trusted-pods/webhook/v1\0"
"""Before the body in what is signed, so that no other signature of the key is one of these."""

MAX_BODY = 4096
"""A warning is a few lines."""


class WebhookDoor:
    """Sends, each in *within_s*. `allow_private`: also to addresses that are not public, for a localnet."""

    def __init__(self, *, allow_private: bool, within_s: float = SEND_WITHIN_S) -> None:
        self._allow_private = allow_private
        self._within_s = within_s

    async def send(self, url: str, body: bytes, signature: bytes) -> None:
        """POST *body* with its signature.

        Refused (rule `webhook`) where it must not go, NetworkFailure when it was not taken.
        """
        parts = check_url(url, allow_private=self._allow_private)
        assert parts.hostname is not None
        assert len(body) <= MAX_BODY
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            with trio.fail_after(self._within_s):
                address = await self._resolve(parts.hostname, port)
                status = await _post(parts, address, port, body, signature, self._within_s)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, trio.TooSlowError) as error:
            raise NetworkFailure(f"the webhook does not answer ({type(error).__name__})") from None
        if not 200 <= status < 300:
            raise NetworkFailure(f"the webhook answered HTTP {status}")

    async def _resolve(self, host: str, port: int) -> str:
        """One address of *host*, all of which may be sent to: the connection goes to it and no other."""
        found = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [str(entry[4][0]) for entry in found]
        for text in addresses:
            literal = literal_address(text)
            if literal is None or not (self._allow_private or is_public(literal)):
                raise Refused("the webhook's name leads to an address that is not public", rule="webhook")
        return addresses[0]


async def _post(
    parts: SplitResult, address: str, port: int, body: bytes, signature: bytes, within_s: float
) -> int:
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
        httpx.AsyncClient(timeout=within_s, follow_redirects=False, trust_env=False) as client,
        client.stream(
            "POST",
            f"{parts.scheme}://{literal}:{port}{path}",
            content=body,
            headers=headers,
            extensions={"sni_hostname": parts.hostname},
        ) as response,
    ):
        return response.status_code  # its body is a stranger's, and is not read
