# SPDX-License-Identifier: Apache-2.0
"""What a publisher outside of an emulated machine types, and what comes of it."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from tests.paths import ROOT
from trustedpods.localnet.cluster import binaries
from trustedpods.localnet.market.files import read_market
from trustedpods.localnet.settings import Settings

COMMAND_LIMIT_S = 600.0

Json = dict[str, Any]

POLICY = """\
version = 1
trust = ["sealed"]
accept = ["simulated"]
max_evidence_bytes = 65536
config_digests = {configurations}

[[simulated]]
chain_id = {chain_id}
registry = "{registry}"
payments = "{payments}"
measurements = ["{measurement}"]
"""


def tell(text: str) -> None:
    """For who watches (`pytest -s`), and beside a failure."""
    sys.stdout.write(text + "\n")


def publisher(market: Settings, *words: str) -> Json:
    """The publisher's client; its JSON."""
    code, answer = tried(market, *words)
    assert code == 0, f"{words}: exit code {code}\n{answer}"
    return answer


def refused(market: Settings, *words: str) -> tuple[str, str]:
    """A command that evidence does not convince (exit code 9); the rule, and the words."""
    code, answer = tried(market, *words)
    assert code == 9, f"{words}: exit code {code}\n{answer}"
    return answer["error"]["rule"], answer["error"]["what"]


def tried(market: Settings, *words: str) -> tuple[int, Json]:
    """Exit code, and the JSON."""
    done = _run(market, *words, "-o", "json")
    return done.returncode, json.loads(done.stdout) if done.stdout else {"stderr": done.stderr}


def drafted(market: Settings) -> Json:
    """A policy for the machine as it is now."""
    answer = publisher(market, "attest", provider(market), "--print-policy")
    return tomllib.loads(answer["policy_draft"])


def policy(market: Settings, measurement: bytes, configuration: str | None = None) -> str:
    """The name of a file: it takes one measurement in this market, and one configuration (64 hex) or any."""
    where, file = read_market(market.state), market.state / "policy.toml"
    configurations = '"any"' if configuration is None else f'["{configuration}"]'
    values = {"chain_id": where.chain_id, "registry": where.registry, "payments": where.payments}
    values |= {"measurement": measurement.hex(), "configurations": configurations}
    file.write_text(POLICY.format(**values))
    return str(file)


def hello(market: Settings) -> str:
    """The example's manifest, with patience, and for no provider that shares user ids between pods."""
    folder = market.state
    if not (folder / "hello.tar").exists():
        (folder / "hello.tar").symlink_to(binaries.image("hello"))
    manifest = folder / "hello.yaml"
    asked = "httpGet: {path: /, port: 8080}"
    patient = f"{asked}\n        periodSeconds: 5\n        failureThreshold: 120"
    text = (ROOT / "manifests/examples/hello.yaml").read_text().replace(asked, patient)
    manifest.write_text(text.replace("\nspec:\n", "\nspec:\n  hostUsers: false\n"))
    return str(manifest)


def provider(market: Settings) -> str:
    """The one that the market has."""
    (row,) = publisher(market, "provider", "list")["providers"]
    return str(row["name"])


def _run(market: Settings, *words: str) -> subprocess.CompletedProcess[str]:
    known = {
        "HOME": str(market.state),
        "TRUSTEDPODS_MARKET": str(market.state / "market.toml"),
        "TRUSTEDPODS_KEY": str(market.state / "publisher.key"),
    }
    return subprocess.run(
        [Path(sys.executable).with_name("trustedpods"), *words],
        env=os.environ | known, capture_output=True, text=True, timeout=COMMAND_LIMIT_S, check=False,
    )  # fmt: skip
