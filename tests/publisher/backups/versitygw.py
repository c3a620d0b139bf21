# SPDX-License-Identifier: Apache-2.0
"""A real S3 server on this machine: Versity's gateway, whose buckets are folders."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import trio

from tests.provider.facade.parts import Process, free_port, listens, until
from trustedpods.localnet.cluster import binaries

ACCESS, SECRET = "tests-access", "marker-of-a-secret"


@dataclass(frozen=True)
class Gateway:
    """Its address, and the folder of its bucket `shop`."""

    endpoint: str
    bucket: Path
    process: Process

    def place(self, words=""):
        return f"s3+{self.endpoint}/shop{words}"


@asynccontextmanager
async def gateway(home: Path) -> AsyncIterator[Gateway]:
    """One that serves while the block runs."""
    (home / "buckets" / "shop").mkdir(parents=True)
    port = free_port()
    process = Process(
        [
            "/usr/bin/env", f"ROOT_ACCESS_KEY_ID={ACCESS}", f"ROOT_SECRET_ACCESS_KEY={SECRET}",
            str(binaries.built(binaries.versitygw())), "--port", f"127.0.0.1:{port}",
            "posix", "--sidecar", str(home / "sidecar"), str(home / "buckets"),
        ],
        home / "versitygw.log",
    )  # fmt: skip
    (home / "sidecar").mkdir()
    process.start()

    try:
        await until(partial(listens, port), "the S3 gateway listens")
        yield Gateway(f"http://127.0.0.1:{port}", home / "buckets" / "shop", process)
    finally:
        with trio.CancelScope(shield=True):
            await process.end()
