# SPDX-License-Identifier: Apache-2.0
"""A publisher's state lies on a disk that is full: hints are lost, no verb is. Needs root, to mount it."""

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.publisher.test_cli import cli
from tests.publisher.wrong.test_state_folder import use
from trustedpods.contracts.client.transactions.journals import FolderJournal
from trustedpods.protocol.errors import NoContext
from trustedpods.publisher.context import state_dir

__all__ = ["cli"]

pytestmark = pytest.mark.live


@pytest.fixture
def full_disk(bench: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A tmpfs without a free block, on which the publisher of *bench* has what is kept for him."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k,mode=0700", "tmpfs", disk], check=True)
    monkeypatch.setenv("XDG_STATE_HOME", str(disk))
    try:
        with (disk / "others").open("ab", buffering=0) as others, suppress(OSError):
            while True:
                others.write(bytes(4096))
        yield disk
    finally:
        subprocess.run(["umount", disk], check=True)


async def test_a_pod_is_deployed_seen_and_deleted(bench, full_disk: Path) -> None:
    async with bench.peer().serve():
        await bench.deploy()
        status = await bench.status()
        assert (status.phase, status.pod.name) == ("serving", "hello")
        deleted = await bench.delete()
        assert deleted.money.state == "released"
    assert [verb for verb, _ in bench.chain.log] == ["open", "release"]
    assert not [one for one in state_dir().rglob("*") if one.is_file() and one.stat().st_size]


async def test_every_verb_works_on_it(bench, cli, full_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(bench.folder)
    await use(bench, cli)
    assert not [one for one in state_dir().rglob("*") if one.is_file() and one.stat().st_size]


def test_no_transaction_is_sent_that_could_not_be_kept(full_disk: Path) -> None:
    journal = FolderJournal(state_dir() / "transactions")
    state_dir().mkdir(exist_ok=True)
    with pytest.raises(NoContext, match="No space left on device") as caught, journal.exclusive("key", 1):
        journal.write({"key": b"x" * 100_000})
    assert "make room" in (caught.value.hint or "")
    assert journal.read("key", 1000) is None
