# SPDX-License-Identifier: Apache-2.0
"""A facade that listens in another network namespace than its own."""

import secrets
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.provider.facade.parts import HAPROXY, Process, until
from trustedpods.protocol.errors import NetworkFailure
from trustedpods.provider.facade.haproxy.config import Bind, FacadeConfig, FacadeLimits
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


@asynccontextmanager
async def facade(namespace: str, tmp_path: Path, address: str, limits: FacadeLimits) -> AsyncIterator[None]:
    """HAProxy with an address in the namespace."""
    config = FacadeConfig(
        binds=(Bind(address, namespace),),
        pools=Pools(1),
        limits=limits,
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
        yield
    finally:
        await process.end()


async def test_it_is_reached_from_there(namespace: str, tmp_path: Path):
    async with facade(namespace, tmp_path, "127.0.0.1:18080", FacadeLimits()):
        inside = ["nsenter", f"--net=/run/netns/{namespace}"]
        asked = ["curl", "--silent", "--max-time", "60", "http://127.0.0.1:18080/"]
        done = subprocess.run([*inside, *asked], capture_output=True, text=True, check=True)
        assert "No pod is published" in done.stdout


NETWORK, OTHER = "2001:db8:0:1", "2001:db8:0:2"

HOLD = """
import socket, sys
held = []
for source in sys.argv[1:]:
    try:
        held.append(socket.create_connection(("2001:db8:0:1::1", 18080), 60, (source, 0)))
        held[-1].sendall(b"GET / HTTP/1.1\\r\\nHost: no name\\r\\n\\r\\n")
        print(int(held[-1].recv(4096)[9:12] or 0))
    except ConnectionError:
        print(0)
"""
"""Asks from each address and keeps the connections: a request with a bad host does not end one."""


async def test_a_network_of_ipv6_is_one_source(namespace: str, tmp_path: Path):
    """One subscriber has 2^64 addresses; another network is another subscriber."""
    ours = [f"{NETWORK}::{number}" for number in ("a", "ffff:1", "1:2:3")]
    for address in (f"{NETWORK}::1", *ours, f"{OTHER}::a"):
        add = ["ip", "-n", namespace, "addr", "add", f"{address}/128", "dev", "lo", "nodad"]
        subprocess.run(add, check=True)
    async with facade(namespace, tmp_path, f"[{NETWORK}::1]:18080", FacadeLimits(per_source=2)):
        inside = ["nsenter", f"--net=/run/netns/{namespace}", sys.executable, "-c", HOLD]
        done = subprocess.run([*inside, *ours, f"{OTHER}::a"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["400", "400", "0", "400"]
