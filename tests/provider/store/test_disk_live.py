# SPDX-License-Identifier: Apache-2.0
"""A real store on a real disk of some MiB, filled to its last block. Needs root, to mount it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from tests.fakes.provider.records import pod_record
from tests.provider.test_config import GOOD
from trustedpods.protocol.errors import ExitCode, Refused, StoreFailure
from trustedpods.protocol.limits import KIB, MIB
from trustedpods.provider.core.disk import DiskSizes, DiskState
from trustedpods.provider.store import Store, Vault, history, open_store, pods
from trustedpods.provider.store.disk import Disk
from trustedpods.provider.store.engines import kept_copy
from trustedpods.provider.store.engines.migrating import migrate

pytestmark = pytest.mark.live

SIZES = DiskSizes(reserve=8 * MIB, least=6 * MIB)
VAULT = Vault(b"k" * 32)
RECORD = pod_record(request=b"r" * 100_000)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs of 32 MiB. The reserve is twice what SQLite lets its write-ahead log grow to (1000 pages)."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m,mode=0700", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def fill(disk: Path) -> None:
    """Another program takes what is left, to the last block."""
    with (disk / f"others-{os.urandom(4).hex()}").open("wb", buffering=0) as file:
        for size in (MIB, 4 * KIB):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue


def fill_all_but(room: int, disk: Path) -> None:
    kept = disk / "kept"
    kept.write_bytes(bytes(room))
    fill(disk)
    kept.unlink()


async def write_for_ever(store: Store) -> None:
    while True:
        await store.write(history.note, RECORD.channel, 1, "claim", "x" * 20_000)


async def test_a_full_disk_takes_no_pods_but_finishes_what_is_here(disk: Path) -> None:
    path = disk / "books" / "store.db"
    async with open_store(path, VAULT, SIZES) as store:
        store.disk.check()
        await store.write(pods.save, RECORD)
        fill(disk)
        for number in range(200):  # far more than what was left in the write-ahead log
            await store.write(history.note, RECORD.channel, number, "claim", "x" * 2000)
            await store.write(pods.save, RECORD)
        assert not (disk / "books" / "reserve").exists()
        store.disk.look()
        assert store.disk.state is DiskState.SPENT
        with pytest.raises(Refused, match="takes nothing new"):
            store.disk.check()

        fill(disk)
        with pytest.raises(StoreFailure, match="disk is full") as caught:
            await write_for_ever(store)
        assert (caught.value.rule, store.disk.state) == ("store-full", DiskState.FAILING)
        assert (await store.read(pods.load, RECORD.channel)) == RECORD

        for file in disk.glob("others-*"):
            file.unlink()
        await store.write(pods.save, RECORD)
        store.disk.look()
        assert store.disk.state is DiskState.GOOD
        assert (disk / "books" / "reserve").stat().st_blocks * 512 >= SIZES.reserve


async def test_a_start_on_a_full_disk_spends_the_reserve(disk: Path) -> None:
    path = disk / "books" / "store.db"
    async with open_store(path, VAULT, SIZES) as store:
        await store.write(pods.save, RECORD)
    fill(disk)
    async with open_store(path, VAULT, SIZES) as store:
        assert await store.read(pods.load, RECORD.channel) == RECORD
        await store.write(pods.save, RECORD)
        assert store.disk.state is DiskState.SPENT


OLD = "0014"
CLAIMS = """
INSERT INTO claims (root, signed, state, created, number)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20)
SELECT CAST(i AS BLOB), zeroblob(100000), 'final', 5, i FROM n
"""
"""Two MB."""


def make_old_books(path: Path) -> None:
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        migrate(connection, OLD)
        connection.exec_driver_sql(CLAIMS)
    engine.dispose()


async def test_books_are_migrated_once_there_is_room_for_their_copy(disk: Path) -> None:
    """Also in the room that the copy of an earlier try takes."""
    path = disk / "store.db"
    make_old_books(path)
    fill_all_but(MIB, disk)  # what SQLite needs to open them
    for _ in range(2):
        with pytest.raises(StoreFailure, match="not migrated without a copy") as caught:
            async with open_store(path, VAULT):
                pass
        assert caught.value.rule == "store-full"
        left = {file.name for file in disk.iterdir() if not file.name.startswith("others-")}
        assert left == {"store.db", "store.db.lock"}
    for file in disk.glob("others-*"):
        file.unlink()
    copy = kept_copy.place(path, OLD)
    copy.write_bytes(bytes(16 * MIB))
    fill_all_but(MIB, disk)
    async with open_store(path, VAULT):
        pass
    assert copy.stat().st_size < 4 * MIB


async def test_a_copy_does_not_take_the_reserve(disk: Path) -> None:
    path = disk / "store.db"
    make_old_books(path)
    Disk(disk, SIZES).look()
    reserve = disk / "reserve"
    fill_all_but(2 * MIB, disk)
    with pytest.raises(StoreFailure, match="free beside the reserve") as caught:
        async with open_store(path, VAULT, SIZES):
            pass
    assert (caught.value.rule, reserve.stat().st_size) == ("store-full", SIZES.reserve)
    for file in disk.glob("others-*"):
        file.unlink()
    async with open_store(path, VAULT, SIZES) as store:
        assert store.disk.state is DiskState.GOOD
    assert kept_copy.copies(path) == [kept_copy.place(path, OLD)]


KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters: [{name: nobody, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: daemon, user: {token: t}}]
contexts: [{name: here, context: {cluster: nobody, user: daemon}}]
current-context: here
"""
"""Nothing is asked of a cluster before the books are open."""


def test_a_daemon_that_cannot_open_its_books_says_so_and_ends(disk: Path, tmp_path: Path) -> None:
    keys = Path("/dev/shm") / f"trustedpods-test-{os.urandom(6).hex()}"
    operator = tmp_path / "operator"
    operator.write_text("11" * 32)
    operator.chmod(0o600)
    text = GOOD.replace("/var/lib/tp", str(disk / "books")).replace("/run/keys", str(keys))
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(KUBECONFIG)
    config = tmp_path / "provider.toml"
    config.write_text(text.replace("/k/operator", str(operator)).replace("/k/config", str(kubeconfig)))
    fill(disk)
    try:
        done = subprocess.run(
            [Path(sys.executable).with_name("trustedpods-provider"), "serve", "--config", config],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    finally:
        subprocess.run(["rm", "-rf", keys], check=True)
    assert done.returncode == ExitCode.STORE
    error, hint = done.stderr.splitlines()
    assert "books cannot be opened" in error
    assert "[store-full]" in error
    assert hint == "hint: make room on this disk"
