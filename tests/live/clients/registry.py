# SPDX-License-Identifier: Apache-2.0
"""A real distribution registry on this machine, of a test's own, and what is pushed to it by skopeo."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

STARTS_S = 60
"""For the registry's process on a busy machine."""


@contextmanager
def distribution_registry(folder: Path, port: int) -> Iterator[str]:
    """Its host and port; what it keeps and its log are in *folder*."""
    config = {
        "version": "0.1",
        "storage": {"filesystem": {"rootdirectory": str(folder / "registry")}},
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    file = folder / "registry.yml"
    file.write_text(json.dumps(config))
    with (folder / "registry.log").open("wb") as log:
        process = subprocess.Popen(["docker-registry", "serve", file], stdout=log, stderr=log)
    try:
        _wait_for(f"http://127.0.0.1:{port}/v2/")
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def _wait_for(url: str) -> None:
    until = time.monotonic() + STARTS_S
    while True:
        try:
            httpx.get(url)
        except httpx.TransportError:
            assert time.monotonic() < until
            time.sleep(0.05)
        else:
            return


def push(source: str, name: str) -> None:
    """Copy an image, named as skopeo names it, to a registry without TLS."""
    copy = ["--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false", "--preserve-digests"]
    subprocess.run(["skopeo", *copy, source, f"docker://{name}"], check=True, timeout=120)
