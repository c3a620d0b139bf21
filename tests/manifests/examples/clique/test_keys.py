# SPDX-License-Identifier: Apache-2.0
"""The keys of the example chain: made once, and such that the manifests beside them are sound."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from eth_account import Account

from tests.paths import EXAMPLES
from trustedpods.manifests.parse import load

NODES = 5


def made(folder: Path) -> "subprocess.CompletedProcess[str]":
    words = [sys.executable, str(EXAMPLES / "clique" / "keys.py"), str(folder)]
    return subprocess.run(words, check=False, capture_output=True, text=True)


def test_keys_are_made_once_and_fit_each_other(tmp_path: Path) -> None:
    assert made(tmp_path).returncode == 0
    files = {file.name: file.read_text() for file in (tmp_path / "keys").iterdir()}
    genesis = json.loads(files["genesis.json"])
    signers = [files[f"signer-{index}"] for index in range(NODES)]
    for index, signer in enumerate(signers):
        key = Account.decrypt(files[f"account-{index}"], files["password"])
        assert Account.from_key(key).address == signer
    extra = genesis["extradata"].removeprefix("0x")
    assert extra[64:-130] == "".join(sorted(one[2:].lower() for one in signers))
    assert set(genesis["alloc"]) == set(signers)
    assert all((tmp_path / "keys" / name).stat().st_mode & 0o77 == 0 for name in files)
    again = made(tmp_path)
    assert again.returncode == 1
    assert "move the folder away" in again.stderr
    assert {file.name: file.read_text() for file in (tmp_path / "keys").iterdir()} == files


def test_with_them_the_manifests_are_sound(tmp_path: Path) -> None:
    made(tmp_path)
    for file in (EXAMPLES / "clique").glob("*.yaml"):
        shutil.copy(file, tmp_path)
    loaded = {name: load(tmp_path / f"{name}.yaml") for name in ("bootnode", "nodes", "web")}
    nodes = loaded["nodes"]
    assert nodes.manifest.spec.replicas == NODES
    assert len(nodes.secrets["keys"]) == 3 + 3 * NODES
    called = {peer.pod for rule in nodes.manifest.spec.network.egress for peer in rule.to}
    assert called == {"nodes", "bootnode"}
    assert nodes.secrets["keys"]["bootnodes"].decode().endswith("@boot.bootnode.internal:0?discport=30301")
