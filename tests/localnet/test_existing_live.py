# SPDX-License-Identifier: Apache-2.0
"""`--existing` brings a provider of class open to a cluster that somebody else runs.

The other cluster is that of a localnet without a provider; the command runs as on its node.
"""

import json
import os
import secrets
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.live.localnet_fixture import PREFIX, LiveLocalnet, localnet, print_logs
from tests.localnet import traces
from tests.paths import EXAMPLES
from trustedpods.localnet import folders
from trustedpods.localnet.cluster import binaries
from trustedpods.localnet.down import down
from trustedpods.localnet.network import enter
from trustedpods.localnet.settings import Knobs
from trustedpods.protocol.errors import ExitCode

pytestmark = pytest.mark.live

COMMAND = Path(sys.executable).with_name("trustedpods-localnet")


@pytest.fixture(scope="module")
def host() -> Iterator[LiveLocalnet]:
    with localnet(knobs=Knobs(provider=False)) as running:
        yield running


@pytest.fixture
def guest(host: LiveLocalnet) -> Iterator[str]:
    name = PREFIX + secrets.token_hex(4)
    yield name
    down(name)


def on_node(host: LiveLocalnet, *words: str) -> str:
    argv = [*enter(host.cluster().namespace), str(COMMAND), *words]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@dataclass(frozen=True)
class Customer:
    """Somebody on the node with an empty home and an example to deploy."""

    host: LiveLocalnet
    state: Path
    folder: Path

    def run(self, *words: str, code: int = 0) -> "subprocess.CompletedProcess[str]":
        """The publisher's command, which must end with *code*."""
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "TRUSTEDPODS_MARKET": str(self.state / "market.toml"),
            "TRUSTEDPODS_KEY": str(self.state / "publisher.key"),
        }
        argv = [*enter(self.host.cluster().namespace), str(COMMAND.with_name("trustedpods")), *words]
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == code, done.stderr
        return done


def check_pod(customer: Customer) -> None:
    """A pod comes only with `--trust open`, and whoever shows its provider says OPEN."""
    for source in (EXAMPLES / "hello.yaml", binaries.image("hello")):
        shutil.copy(source, customer.folder)
    manifest = str(customer.folder / "hello.yaml")
    listed = customer.run("provider", "list").stdout
    assert "OPEN" in listed
    assert "sealed" not in listed

    refused = customer.run("deploy", manifest, "-o", "json", code=ExitCode.REFUSED)
    assert "--trust open" in refused.stderr
    assert json.loads(customer.run("balance", "-o", "json").stdout)["channels"] == []

    deployed = customer.run("deploy", manifest, "--trust", "open")
    assert "[OPEN (its operator can read the pod)]" in deployed.stderr
    url = urlsplit(deployed.stdout.strip())
    where = f"http://127.0.0.1:{url.port}/cgi-bin/whoami"
    inside = enter(customer.host.cluster().namespace)
    page = subprocess.run(
        [*inside, "curl", "-sS", "--max-time", "60", "-H", f"Host: {url.netloc}", where],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "hello from a trusted pod" in page.stdout
    assert "OPEN" in customer.run("status", "hello").stdout
    assert customer.run("delete", "hello").stdout == "hello is removed\n"


def test_a_provider_of_class_open_joins_an_existing_cluster(
    host: LiveLocalnet, guest: str, tmp_path: Path
) -> None:
    machine = traces.of_machine()
    try:
        on_node(host, "up", "--name", guest, "--existing", str(host.kubeconfig()), "--limit", "300")
    except AssertionError:
        print_logs(folders.state_of(guest))
        raise
    state = folders.state_of(guest)
    config = tomllib.loads((state / "k1" / "provider.toml").read_text())
    assert (config["identity"]["trust"], config["identity"]["tee"]) == ("open", "none")
    assert config["cluster"]["kubeconfig"] == str(host.kubeconfig())
    assert "simulated" not in tomllib.loads((state / "market.toml").read_text())
    assert traces.of_machine() == machine

    check_pod(Customer(host, state, tmp_path))

    assert down(guest)
    assert traces.of(guest) == set()
    assert not folders.shared_memory(guest).exists()
    assert "Ready" in host.kubectl("get", "nodes")
