# SPDX-License-Identifier: Apache-2.0
"""The program of the image `echo` as a pod on loopback: every protocol, without a cluster."""

import gzip
import io
import tarfile
from functools import partial
from pathlib import Path

from tests.provider.facade.parts import Process, free_port, listens, until
from trustedpods.localnet.cluster import binaries
from trustedpods.provider.core.traffic import PodAddress


def program(folder: Path) -> Path:
    """The executable, out of the image's archive."""
    target = folder / "echo"
    with tarfile.open(binaries.image("echo")) as archive:
        for member in archive.getmembers():
            data = archive.extractfile(member)
            content = data.read() if data else b""
            if content[:2] == b"\x1f\x8b":
                with tarfile.open(fileobj=io.BytesIO(gzip.decompress(content))) as layer:
                    inner = layer.extractfile("echo")
                    assert inner is not None
                    target.write_bytes(inner.read())
    target.chmod(0o755)
    return target


class EchoPod:
    """One process; `web` and `raw` are where its two ports are."""

    def __init__(self, folder: Path, name: str = "pod-e") -> None:
        self.name = name
        self.ports = (free_port(), free_port())
        web, raw = (f"127.0.0.1:{port}" for port in self.ports)
        self.process = Process([str(program(folder)), "-http", web, "-tcp", raw], folder / f"{name}.log")

    @property
    def web(self) -> PodAddress:
        return PodAddress(self.name, "127.0.0.1", self.ports[0])

    @property
    def raw(self) -> PodAddress:
        return PodAddress(self.name, "127.0.0.1", self.ports[1])

    async def start(self) -> None:
        self.process.start()

        await until(partial(listens, *self.ports), "the pod listens")
