# SPDX-License-Identifier: Apache-2.0
"""A stretch of the internet (203.0.113.0/24, RFC 5737) behind a localnet's node."""

import contextlib
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.live.clients.probing import run
from tests.live.localnet_fixture import LiveLocalnet
from trustedpods.localnet.network import NAMESPACES

GATEWAY = "203.0.113.1"
SERVER = "203.0.113.2"
FORBIDDEN = "203.0.113.3"


@contextlib.contextmanager
def world(market: LiveLocalnet) -> Iterator[Path]:
    """Its network namespace. Pods have a way there and back; whether they may is another question."""
    name = f"t-world-{secrets.token_hex(3)}"
    here = market.cluster().namespace
    assert here is not None
    inside = ["ip", "-n", name]
    run("ip", "netns", "add", name)
    try:
        run(
            "ip", "link", "add", "world", "netns", here, "type", "veth", "peer", "name", "eth0", "netns", name
        )
        run("ip", "-n", here, "address", "add", f"{GATEWAY}/24", "dev", "world")
        run("ip", "-n", here, "link", "set", "world", "up")
        for address in (SERVER, FORBIDDEN):
            run(*inside, "address", "add", f"{address}/24", "dev", "eth0")
        for link in ("lo", "eth0"):
            run(*inside, "link", "set", link, "up")
        run(*inside, "route", "add", "default", "via", GATEWAY)
        yield NAMESPACES / name
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)
        # The peer goes with the namespace as soon as the kernel has torn that down.
