# SPDX-License-Identifier: Apache-2.0
"""A person's browser: requests to the facade on 127.0.0.1 with the pod's Host header."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import monotonic
from urllib.parse import urlsplit

import httpx

REQUEST_LIMIT_S = 90


@dataclass(frozen=True)
class Answer:
    """One response: status, size and SHA-256 of the body, seconds it took, and its text."""

    status: int
    size: int
    sha256: str
    seconds: float
    text: str


def get(url: str, path: str = "/", limit_s: float = REQUEST_LIMIT_S, at: str = "") -> Answer:
    """GET *path* of the pod at *url*; `*.localhost` does not resolve everywhere, so by address.

    *at* is the address and port of another facade.
    """
    parts = urlsplit(url)
    digest, size, head = hashlib.sha256(), 0, b""
    started = monotonic()
    target = f"http://{at or f'127.0.0.1:{parts.port}'}{path}"
    headers = {"Host": parts.netloc}
    with (
        httpx.Client(timeout=limit_s, trust_env=False) as client,
        client.stream("GET", target, headers=headers) as response,
    ):
        for chunk in response.iter_bytes():
            digest.update(chunk)
            size += len(chunk)
            head = (head + chunk)[:4096] if len(head) < 4096 else head
        status = response.status_code
    return Answer(status, size, digest.hexdigest(), monotonic() - started, head.decode(errors="replace"))


def get_many(url: str, count: int, path: str = "/") -> Sequence[Answer]:
    """*count* requests at once, each on a connection of its own."""
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda _: get(url, path), range(count)))
