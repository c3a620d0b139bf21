# SPDX-License-Identifier: Apache-2.0
"""`--existing` brings a provider of class open to a cluster that somebody else runs.

The other cluster is that of a localnet without a provider; the command runs as on its node.
"""

import json
import os
import secrets
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.localnet_fixture import PREFIX, LiveLocalnet, localnet, print_logs
from tests.localnet import traces
from trustedpods.localnet import folders
from trustedpods.localnet.down import down
from trustedpods.localnet.network import enter
from trustedpods.localnet.settings import Knobs

pytestmark = [pytest.mark.live, pytest.mark.timeout(240)]

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
    done = subprocess.run(argv, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_provider_of_class_open_joins_an_existing_cluster(host: LiveLocalnet, guest: str) -> None:
    machine = traces.of_machine()
    try:
        on_node(host, "up", "--name", guest, "--existing", str(host.kubeconfig()), "--limit", "110")
    except AssertionError:
        print_logs(folders.state_of(guest))
        raise
    state = folders.state_of(guest)
    config = tomllib.loads((state / "k1" / "provider.toml").read_text())
    assert (config["identity"]["trust"], config["identity"]["tee"]) == ("open", "none")
    assert config["cluster"]["kubeconfig"] == str(host.kubeconfig())
    assert "simulated" not in tomllib.loads((state / "market.toml").read_text())
    assert traces.of_machine() == machine

    environment = os.environ | {"TRUSTEDPODS_MARKET": str(state / "market.toml")}
    argv = [*enter(host.cluster().namespace), str(COMMAND.with_name("trustedpods")), "provider", "list"]
    done = subprocess.run([*argv, "-o", "json"], env=environment, capture_output=True, text=True, check=True)
    listed = json.dumps(json.loads(done.stdout))
    assert '"open"' in listed
    assert '"sealed"' not in listed

    assert down(guest)
    assert traces.of(guest) == set()
    assert not folders.shared_memory(guest).exists()
    assert "Ready" in host.kubectl("get", "nodes")
