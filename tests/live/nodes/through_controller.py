# SPDX-License-Identifier: Apache-2.0
"""A person's browser at an ingress controller: requests to its address with the host that is meant."""

import ssl
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
from cryptography.hazmat.primitives.asymmetric import ec

from trustedpods.provider.facade.certificates import Authority, certificate_pem, utc

ANSWER_S = 10.0
PAD = 4000
"""Bytes of a header that only makes a request larger; half of what small servers take on one line."""


@dataclass(frozen=True)
class Controller:
    """Where it is, and whose certificates the browser believes."""

    address: str
    trusted: ssl.SSLContext

    def get(self, host: str, path: str = "/", scheme: str = "https") -> httpx.Response:
        """One request on a connection of its own."""
        with self._client() as client:
            return self._ask(client, host, path, scheme)

    def says(self, host: str, path: str, words: str) -> bool:
        """Whether it answers with them; until it has heard of the host it has another certificate."""
        try:
            answer = self.get(host, path)
        except httpx.TransportError:
            return False
        return answer.status_code == 200 and words in answer.text

    def pad(self, host: str, count: int) -> int:
        """As many requests with a header of PAD bytes; bytes of those headers."""
        with self._client() as client:
            for _ in range(count):
                assert self._ask(client, host, "/", "https", {"X-Pad": "x" * PAD}).status_code == 200
        return count * PAD

    def _client(self) -> httpx.Client:
        return httpx.Client(timeout=ANSWER_S, trust_env=False, verify=self.trusted)

    def _ask(
        self, client: httpx.Client, host: str, path: str, scheme: str, more: dict[str, str] | None = None
    ) -> httpx.Response:
        url = f"{scheme}://{self.address}{path}"
        return client.get(url, headers={"Host": host, **(more or {})}, extensions={"sni_hostname": host})


def write_certificate(folder: Path, host: str) -> ssl.SSLContext:
    """`tls.crt` and `tls.key` for *host*, and what believes them alone."""
    root = Authority.make("publisher", utc(time.time()))
    made = root.issue([host], ec.generate_private_key(ec.SECP256R1()), utc(time.time()))
    chain, mark, key = made.pem.partition(b"-----BEGIN PRIVATE")
    (folder / "tls.crt").write_bytes(chain)
    (folder / "tls.key").write_bytes(mark + key)
    return ssl.create_default_context(cadata=certificate_pem(root.certificate).decode())
