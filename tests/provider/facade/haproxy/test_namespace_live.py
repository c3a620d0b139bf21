# SPDX-License-Identifier: Apache-2.0
"""A facade that listens in another network namespace than its own."""

import secrets
import subprocess
from pathlib import Path

import pytest

from tests.provider.facade.parts import HAPROXY, Process, until
from trustedpods.protocol.errors import NetworkFailure
from trustedpods.provider.facade.haproxy.config import Bind, FacadeConfig
from trustedpods.provider.facade.haproxy.files import install
from trustedpods.provider.facade.haproxy.runtime import Runtime
from trustedpods.provider.facade.pools import Pools

pytestmark = pytest.mark.live


@pytest.fixture
def namespace():
    name = f"tpf-{secrets.token_hex(3)}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
        yield name
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)


async def test_it_is_reached_from_there(namespace: str, tmp_path: Path):
    config = FacadeConfig(
        binds=(Bind("127.0.0.1:18080", namespace),),
        pools=Pools(1),
        runtime_socket=tmp_path / "haproxy.sock",
        map_file=tmp_path / "hosts.map",
        activator_dir=tmp_path,
        pages_dir=tmp_path,
    )
    install(config, tmp_path / "haproxy.cfg")
    process = Process([HAPROXY, "-db", "-f", str(tmp_path / "haproxy.cfg")], tmp_path / "haproxy.log")
    process.start()
    try:

        async def answers() -> bool:
            try:
                return bool(await Runtime(config.runtime_socket).boot())
            except NetworkFailure:
                return False

        await until(answers, "HAProxy answers")
        inside = ["nsenter", f"--net=/run/netns/{namespace}"]
        asked = ["curl", "--silent", "--max-time", "60", "http://127.0.0.1:18080/"]
        done = subprocess.run([*inside, *asked], capture_output=True, text=True, check=True)
        assert "No pod is published" in done.stdout
    finally:
        await process.end()
