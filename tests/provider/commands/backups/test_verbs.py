# SPDX-License-Identifier: Apache-2.0
"""`backup` and `restore` as an operator types them: facts, exit codes, and one clear line of error."""

import json

import pytest
import trio
from click.testing import CliRunner

from tests.fakes.provider.world import put_empty_books
from tests.provider.test_config import GOOD
from trustedpods.protocol.errors import ExitCode
from trustedpods.provider.cli import main
from trustedpods.provider.store.engines.sqlite_file import held


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "provider.toml"
    key = tmp_path / "operator.key"
    key.touch(0o600)
    key.write_text("1" * 64)
    path.write_text(GOOD.replace("/var/lib/tp", str(tmp_path)).replace("/k/operator", str(key)))
    trio.run(put_empty_books, tmp_path / "store.db")
    return path


def run(verb, *words, config):
    return CliRunner().invoke(main, [verb, *map(str, words), "--config", str(config)])


def test_a_backup_and_back(config, tmp_path):
    target = tmp_path / "day.backup"
    made = run("backup", target, "-o", "json", config=config)
    assert made.exit_code == 0, made.stderr
    told = json.loads(made.stdout)
    assert told["backup"] == str(target)
    assert told["files"] == ["keys/operator", "settings/provider.toml", "books/store.db"]
    assert told["bytes"] == target.stat().st_size
    (tmp_path / "operator.key").unlink()

    looked = run("restore", target, "--look", config=config)
    assert looked.exit_code == 0, looked.stderr
    assert "restored: False" in looked.stdout
    assert not (tmp_path / "operator.key").exists()

    done = run("restore", target, config=config)
    assert done.exit_code == 0, done.stderr
    assert "now: systemctl start trustedpods-provider" in done.stdout
    assert (tmp_path / "operator.key").read_text() == "1" * 64


def test_what_is_no_backup_is_one_line(config, tmp_path):
    other = tmp_path / "other"
    other.write_text("a letter" * 200)
    result = run("restore", other, config=config)
    assert result.exit_code == ExitCode.BAD_INPUT
    assert len(result.stderr.splitlines()) == 1


def test_a_running_daemon_has_a_code_of_its_own(config, tmp_path):
    target = tmp_path / "day.backup"
    assert run("backup", target, config=config).exit_code == 0
    with held(tmp_path / "store.db"):
        result = run("restore", target, config=config)
    assert result.exit_code == ExitCode.LOCKED
    assert "hint: systemctl stop trustedpods-provider" in result.stderr


def test_class_sealed_has_neither(config, tmp_path):
    config.write_text(config.read_text().replace('trust = "open"', 'trust = "sealed"'))
    result = run("backup", tmp_path / "day.backup", config=config)
    assert result.exit_code == ExitCode.REFUSED
    assert "rollback" in result.stderr
