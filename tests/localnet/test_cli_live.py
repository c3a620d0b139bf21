# SPDX-License-Identifier: Apache-2.0
"""What a person types at a running localnet."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.waiting import until

pytestmark = pytest.mark.live

COMMAND = Path(sys.executable).with_name("trustedpods-localnet")


def typed(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(COMMAND), *words], capture_output=True, text=True, timeout=200, check=False)


def test_status_shows_every_part_and_address(market: LiveLocalnet) -> None:
    name = market.settings.name
    until("all is ready", lambda: {part["state"] for part in market.parts().values()} == {"ready", "done"})
    facts = json.loads(typed("status", "--name", name, "-o", "json").stdout)
    states = {part["name"]: part["state"] for part in facts["parts"]}
    assert set(states.values()) == {"ready", "done"}
    assert {"chain", "market", "k1/kubelet", "k1/provider", "k1/register"} <= set(states)
    shown = typed("status", "--name", name).stdout
    assert all(part in shown for part in states)
    assert facts["chain"]["rpc"] in shown
    assert str(market.kubeconfig()) in shown


def test_env_names_files_that_are_there(market: LiveLocalnet) -> None:
    lines = typed("env", "--name", market.settings.name).stdout.splitlines()
    values = dict(line.removeprefix("export ").split("=", 1) for line in lines)
    assert set(values) == {"KUBECONFIG", "TRUSTEDPODS_MARKET", "TRUSTEDPODS_KEY"}
    assert all(Path(value.strip("'")).is_file() for value in values.values())


def test_kubectl_gets_all_its_words(market: LiveLocalnet) -> None:
    done = typed("kubectl", "--name", market.settings.name, "get", "nodes", "-o", "name")
    assert done.stdout == "node/k1\n"
    failed = typed("kubectl", "--name", market.settings.name, "get", "nothing")
    assert failed.returncode != 0
    assert "nothing" in failed.stderr


def test_logs_of_a_part_and_of_none(market: LiveLocalnet) -> None:
    name = market.settings.name
    assert "serving" in typed("logs", "--name", name, "-n", "1000000", "k1/provider").stdout
    unknown = typed("logs", "--name", name, "k1/nothing")
    assert unknown.returncode == 4
    assert "k1-provider" in unknown.stderr


def test_a_localnet_that_is_not_there_is_named(market: LiveLocalnet) -> None:
    missing = typed("status", "--name", "no-such-market")
    assert missing.returncode == 4
    assert "no-such-market" in missing.stderr
    assert typed("down", "--name", "no-such-market").returncode == 0
