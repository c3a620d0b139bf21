# SPDX-License-Identifier: Apache-2.0
"""What the script of the signing nodes makes: sound manifests, and for each node a password of its own."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from tests.paths import EXAMPLES
from trustedpods.manifests.parse import load

NODES = (1, 2, 3)


def made(folder: Path) -> "subprocess.CompletedProcess[str]":
    """The script's first step, in a folder of its own."""
    for file in (EXAMPLES / "signers").iterdir():
        if file.is_file():
            shutil.copy(file, folder)
    words = [sys.executable, str(folder / "signers.py"), "files"]
    return subprocess.run(words, check=False, capture_output=True, text=True)


def test_each_node_has_its_own_database_and_calls_no_other(tmp_path: Path) -> None:
    assert made(tmp_path).returncode == 0
    passwords = set()
    for node in NODES:
        signer, database = load(tmp_path / f"signer-{node}.yaml"), load(tmp_path / f"db-{node}.yaml")
        assert database.manifest.spec.network.egress == []
        called = {peer.pod for rule in signer.manifest.spec.network.egress for peer in rule.to}
        assert called == {f"signer-{other}" for other in NODES} | {f"db-{node}"}
        password = database.secrets["keys"]["password"].decode()
        settings = tomllib.loads(signer.secrets["config"]["config.toml"].decode())
        assert settings["pg_dsn"].startswith(f"postgres://postgres:{password}@sql.db-{node}.internal:5432/")
        assert settings["pg_dsn"] == signer.secrets["config"]["dsn"].decode()
        passwords.add(password)
    assert len(passwords) == len(NODES)


def test_passwords_are_made_once(tmp_path: Path) -> None:
    made(tmp_path)
    before = {file: file.read_text() for file in (tmp_path / "keys").iterdir()}
    again = made(tmp_path)
    assert again.returncode == 1
    assert "keep their passwords" in again.stderr
    assert {file: file.read_text() for file in (tmp_path / "keys").iterdir()} == before


def test_nobody_waits_for_ever_for_a_database(tmp_path: Path) -> None:
    """By the container's own words, where looks and pauses cost nothing."""
    made(tmp_path)
    (schema,) = load(tmp_path / "signer-1.yaml").manifest.spec.init_containers
    shell, option, script = schema.command
    for answer, ending in ((2, (1, "no database answered 120 looks\n")), (0, (0, ""))):
        words = f"psql() {{ return {answer}; }}; sleep() {{ :; }}; {script}"
        ended = subprocess.run(
            [shell, option, words], check=False, capture_output=True, text=True, timeout=60
        )
        assert (ended.returncode, ended.stderr) == ending
