# SPDX-License-Identifier: Apache-2.0
"""What a package asks before it is installed: whether its daemon can read the books that are there."""

import sqlite3
import subprocess

import pytest

from tests.deploy.debian.packages import metadata, parts, staging
from tests.paths import ROOT
from trustedpods.provider.store import Vault, open_store
from trustedpods.provider.store.engines.migrating import newest_schema

NEWER = "9999"


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    folder = tmp_path_factory.mktemp("package")
    tree = folder / "tree"
    staging.stage(ROOT, parts(folder / "parts"), tree)
    metadata.control_files(ROOT, tree, "1.0")
    return tree / "DEBIAN" / "preinst"


@pytest.fixture
def root(tmp_path):
    """A machine with settings that name books in a place of their own."""
    (tmp_path / "etc/trustedpods").mkdir(parents=True)
    (tmp_path / "srv/k 1").mkdir(parents=True)
    text = '[store]\npath = "/srv/k 1/store.db"\n'
    (tmp_path / "etc/trustedpods/provider.toml").write_text(text)
    return tmp_path


def books(root):
    return root / "srv/k 1/store.db"


def asked(script, root, *words):
    argv = ["sh", str(script), *words]
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DPKG_ROOT": str(root)}
    return subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)


def open_books(root):
    return open_store(books(root), Vault(b"k" * 32))


def make_newer(root):
    with sqlite3.connect(books(root)) as changed:
        changed.execute("UPDATE alembic_version SET version_num = ?", (NEWER,))
    changed.close()


def test_it_knows_the_schema_of_its_daemon():
    assert metadata.newest_schema(ROOT) == newest_schema()


async def test_books_that_it_can_read_are_no_hindrance_also_while_a_daemon_has_them(script, root):
    async with open_books(root):
        running = asked(script, root, "upgrade", "0.1.0", "0.2.0")
    stopped = asked(script, root, "upgrade", "0.3.0", "0.2.0")
    assert [(done.returncode, done.stderr) for done in (running, stopped)] == [(0, ""), (0, "")]


@pytest.mark.parametrize("how", ["upgrade", "install"])
async def test_books_of_a_newer_schema_are_named_with_both_and_nothing_is_written(script, root, how):
    async with open_books(root):
        pass
    make_newer(root)
    before = {path.name: path.read_bytes() for path in books(root).parent.iterdir()}
    done = asked(script, root, how, "0.3.0", "0.2.0")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{books(root)} are of schema {NEWER}" in done.stderr
    assert f"knows up to {newest_schema()}:" in done.stderr
    assert "docs/operator.md" in done.stderr
    assert {path.name: path.read_bytes() for path in books(root).parent.iterdir()} == before


async def test_what_a_running_newer_daemon_wrote_last_is_seen(script, root):
    """It still stands in the log beside the file."""
    async with open_books(root):
        make_newer(root)
        assert books(root).with_name("store.db-wal").stat().st_size > 0
        done = asked(script, root, "upgrade", "0.3.0", "0.2.0")
    assert done.returncode == 1
    assert f"schema {NEWER}" in done.stderr


async def test_a_file_from_before_the_books_went_to_a_database_is_no_hindrance(script, root):
    async with open_books(root):
        pass
    make_newer(root)
    with (root / "etc/trustedpods/provider.toml").open("a") as settings:
        settings.write('database = "postgresql://k1@db.example.org/k1"\n')
    done = asked(script, root, "upgrade", "0.3.0", "0.2.0")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "settings", [None, "", "no toml", '[store]\npath = "/srv/none.db"\n', "[store]\n"], ids=str
)
def test_without_books_to_look_at_it_is_installed(script, root, settings):
    file = root / "etc/trustedpods/provider.toml"
    file.unlink() if settings is None else file.write_text(settings)
    done = asked(script, root, "upgrade", "0.3.0", "0.2.0")
    assert (done.returncode, done.stderr) == (0, "")
    assert list((root / "srv/k 1").iterdir()) == []


def test_an_upgrade_that_was_given_up_asks_nothing(script, root):
    assert asked(script, root, "abort-upgrade", "0.1.0").returncode == 0
