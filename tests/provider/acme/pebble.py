# SPDX-License-Identifier: Apache-2.0
"""Pebble, Let's Encrypt's small authority for tests, on ports of its own."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import requests
import trio
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from tests.provider.facade.parts import Process, free_port, listens, until
from trustedpods.localnet.cluster import binaries
from trustedpods.provider.facade.certificates import Authority, certificate_pem, utc


@dataclass
class Pebble:
    """A running one: its directory, the file of the root of its TLS, and its management's port."""

    directory: str
    root: Path
    management: str
    process: Process

    def root_of_certificates(self) -> x509.Certificate:
        answer = requests.get(f"{self.management}/roots/0", verify=str(self.root), timeout=5)
        return x509.load_pem_x509_certificate(answer.content)


@asynccontextmanager
async def pebble(
    home: Path, *, dns: str, http_port: int = 1, life_s: int = 90 * 86400
) -> AsyncIterator[Pebble]:
    """Ended with the block. It resolves by *dns*, asks for pages at *http_port*."""
    root = Authority.make("pebble", utc(time.time()))
    key = ec.generate_private_key(ec.SECP256R1())
    served = root.issue(["localhost"], key, utc(time.time())).pem
    (home / "pebble-root.pem").write_bytes(certificate_pem(root.certificate))
    chain, mark, private = served.partition(b"-----BEGIN PRIVATE")
    (home / "pebble-chain.pem").write_bytes(chain)
    (home / "pebble-key.pem").write_bytes(mark + private)
    port, management = free_port(), free_port()
    settings = {
        "listenAddress": f"127.0.0.1:{port}",
        "managementListenAddress": f"127.0.0.1:{management}",
        "certificate": str(home / "pebble-chain.pem"),
        "privateKey": str(home / "pebble-key.pem"),
        "httpPort": http_port,
        "tlsPort": 1,
        "keyAlgorithm": "ecdsa",
        "retryAfter": {"authz": 1, "order": 1},
        "profiles": {"default": {"description": "the only one", "validityPeriod": life_s}},
    }
    (home / "pebble.json").write_text(json.dumps({"pebble": settings}))
    program = str(binaries.built(binaries.pebble()))
    process = Process(
        [
            "/usr/bin/env", "PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0",
            program, "-config", str(home / "pebble.json"), "-dnsserver", dns,
        ],
        home / "pebble.log",
    )  # fmt: skip
    process.start()

    try:
        await until(partial(listens, port), "Pebble listens")
        base = f"https://localhost:{port}"
        yield Pebble(f"{base}/dir", home / "pebble-root.pem", f"https://localhost:{management}", process)
    finally:
        with trio.CancelScope(shield=True):
            await process.end()
