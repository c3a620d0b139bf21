# SPDX-License-Identifier: Apache-2.0
"""The folder of backups: whole or not there; nothing in it is believed that was not sealed for its place."""

import shutil

import pytest

from trustedpods.protocol.errors import BadInput, Locked
from trustedpods.publisher.backups.folder import PodBackups
from trustedpods.publisher.backups.sealing import CHUNK, SEALED_CHUNK

SECRET = b"s" * 32
NOW = 1_795_946_400
DATA = b"ab" * (CHUNK // 2) + b"the end"


@pytest.fixture
def store(tmp_path):
    return PodBackups(tmp_path, "redis", SECRET)


def begin(store, now=NOW, data=DATA):
    new = store.begin(now)
    part = new.part("data", 0)
    part.write(data)
    new.add(part.end())
    part.close()
    return new


def made(store, now=NOW, data=DATA):
    with store.alone():
        return begin(store, now, data).finish(now + 5)


def whole(store, backup):
    return [b"".join(store.read(backup, part)) for part in backup.index.parts]


def test_a_backup_comes_back(store):
    made(store, NOW, b"older")
    name = made(store, NOW + 1).name
    assert store.names() == [store.names()[0], name]
    found = store.backup()
    assert (found.name, found.size, found.index.pod) == (name, len(DATA), "redis")
    assert (found.index.began, found.index.ended) == (NOW + 1, NOW + 6)
    assert whole(store, found) == [DATA]
    assert whole(store, store.backup(store.names()[0])) == [b"older"]


def test_one_that_was_cut_off_is_none_and_goes_with_the_next(store, tmp_path):
    with store.alone():
        begin(store)
    assert store.names() == []
    with pytest.raises(BadInput, match="no backup of redis"):
        store.backup()
    made(store, NOW + 60)
    assert [path.name for path in (tmp_path / "redis").iterdir() if path.is_dir()] == store.names()


def test_one_at_a_time(store, tmp_path):
    with store.alone(), pytest.raises(Locked), PodBackups(tmp_path, "redis", SECRET).alone():
        pass
    with store.alone():
        pass


def test_the_newest_stay(store):
    names = [made(store, NOW + second, b"x").name for second in range(4)]
    with store.alone():
        assert store.keep(2) == names[:2]
    assert store.names() == names[2:]
    assert whole(store, store.backup()) == [b"x"]


def changed(path, cut):
    path.write_bytes(cut(path.read_bytes()))


@pytest.mark.parametrize(
    "cut",
    [
        lambda data: data[:-1],
        lambda data: data[:SEALED_CHUNK],
        lambda data: data + b"x",
        lambda data: data[SEALED_CHUNK:] + data[:SEALED_CHUNK],
        lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    ],
    ids=["a byte less", "a chunk less", "a byte more", "swapped", "a byte changed"],
)
def test_a_stream_that_was_changed_is_refused(store, tmp_path, cut):
    found = made(store)
    changed(tmp_path / "redis" / found.name / "data.0.sealed", cut)
    with pytest.raises(BadInput):
        whole(store, store.backup())


def test_a_stream_of_another_backup_is_refused(store, tmp_path):
    older, newer = made(store), made(store, NOW + 1)
    one, other = (tmp_path / "redis" / found.name / "data.0.sealed" for found in (older, newer))
    shutil.copy(one, other)
    with pytest.raises(BadInput):
        whole(store, store.backup())


def test_a_backup_under_another_name_is_refused(store, tmp_path):
    older = made(store)
    shutil.copytree(tmp_path / "redis" / older.name, tmp_path / "redis" / "20991231T235959Z")
    with pytest.raises(BadInput):
        store.backup()
    shutil.copytree(tmp_path / "redis", tmp_path / "other")
    with pytest.raises(BadInput):
        PodBackups(tmp_path, "other", SECRET).backup(older.name)


def test_another_key_opens_nothing(store, tmp_path):
    made(store)
    with pytest.raises(BadInput, match="does not open with this key"):
        PodBackups(tmp_path, "redis", b"t" * 32).backup()


def test_a_backup_that_is_not_there_is_said_with_those_that_are(store):
    name = made(store).name
    with pytest.raises(BadInput) as error:
        store.backup("20200101T000000Z")
    assert name in (error.value.hint or "")


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "redis").write_text("a file")
    with (
        pytest.raises(BadInput, match="cannot write the backup"),
        PodBackups(tmp_path, "redis", SECRET).alone(),
    ):
        pass
