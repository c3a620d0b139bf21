# SPDX-License-Identifier: Apache-2.0
"""A pod's backups in a store: whole or not there; nothing is believed that was not sealed for its place."""

import shutil

import pytest

from tests.publisher.backups.stores import CutOff, DyingStore
from trustedpods.protocol.errors import BadInput, StoreFailure
from trustedpods.publisher.backups.folder import FolderStore
from trustedpods.publisher.backups.index import PIECE
from trustedpods.publisher.backups.making import begin
from trustedpods.publisher.backups.pod_backups import LEFT_OVER_S, PodBackups, begun_at
from trustedpods.publisher.backups.sealing import CHUNK, SEALED_CHUNK

SECRET = b"s" * 32
NOW = 1_795_946_400
DATA = b"ab" * (CHUNK // 2) + b"the end"
HERE, THERE = "0000000a", "0000000b"


@pytest.fixture
def backups(tmp_path):
    return PodBackups(FolderStore(tmp_path), "redis", SECRET)


def started(backups, now=NOW, data=DATA, maker=HERE):
    new = begin(backups, maker, now)
    part = new.part("data", 0)
    part.write(data)
    new.add(part.end())
    return new


def made(backups, now=NOW, data=DATA, maker=HERE):
    return started(backups, now, data, maker).finish(now + 5)


def whole(backups, backup):
    return [b"".join(backups.read(backup, part)) for part in backup.index.parts]


def objects(backups):
    return sorted(one.name for one in backups.store.listed("redis/data"))


def test_a_backup_comes_back(backups):
    older = made(backups, NOW, b"older").name
    name = made(backups, NOW + 1).name
    assert backups.names() == [older, name]
    found = backups.backup()
    assert (found.name, found.size, found.index.pod) == (name, len(DATA), "redis")
    assert (found.index.began, found.index.ended, begun_at(name)) == (NOW + 1, NOW + 6, NOW + 1)
    assert whole(backups, found) == [DATA]
    assert whole(backups, backups.backup(older)) == [b"older"]
    assert backups.backup(older.split("-")[0]).name == older


def test_a_place_is_listed_once_however_many_are_opened(backups, monkeypatch):
    names = [made(backups, NOW + at, b"x").name for at in range(5)]
    lists, listed = [], backups.store.listed

    def counted(prefix):
        lists.append(prefix)
        return listed(prefix)

    monkeypatch.setattr(backups.store, "listed", counted)
    assert backups.keep(5) == []
    assert [backups.named(name).name for name in names] == names
    assert lists == ["redis/index"]


def test_a_stream_of_several_pieces(backups):
    data = bytes(range(256)) * (9 * CHUNK // 256) + b"x"
    found = made(backups, NOW, data)
    (part,) = found.index.parts
    assert [size for _, size in part.pieces] == [PIECE, SEALED_CHUNK + 17]
    assert whole(backups, backups.backup()) == [data]


def test_one_that_was_cut_off_is_none_and_goes_with_the_next(backups):
    started(backups)
    assert backups.names() == []
    with pytest.raises(BadInput, match="no backup of redis"):
        backups.backup()
    name = made(backups, NOW + 60).name
    assert objects(backups) == [f"redis/data/{name}/data.0.000000"]


@pytest.mark.parametrize("maker", [HERE, THERE])
def test_names_that_a_store_made_up_move_no_time(backups, tmp_path, maker):
    first = made(backups).name
    (tmp_path / "redis" / "index" / f"99991231T235959Z-{maker}").write_bytes(b"x")
    assert begun_at(made(backups, NOW + 60).name) == NOW + 60
    assert backups.opens(first)


def test_the_newest_is_newest_by_a_clock_behind_another_machines(backups):
    made(backups, NOW + 600, maker=THERE)
    mine = made(backups, NOW).name
    backups.keep(1)
    assert backups.names() == [mine]


def test_what_another_machine_is_making_is_left_for_a_week(backups):
    other = started(backups, NOW, b"other", THERE)
    mine = made(backups, NOW + 60).name
    assert other.finish(NOW + 90).name.endswith(THERE)
    cut_off = started(backups, NOW + 120, b"cut off", THERE)
    made(backups, NOW + 120 + LEFT_OVER_S)
    assert len(objects(backups)) == 4
    made(backups, NOW + 200 + LEFT_OVER_S)
    assert (len(objects(backups)), mine in backups.names()) == (4, True)
    with pytest.raises(StoreFailure, match="is not there"):
        cut_off.finish(NOW)


def test_a_clock_that_was_set_back_makes_no_older_backup(backups):
    first = made(backups, NOW).name
    second = made(backups, NOW - 3600).name
    assert backups.names() == [first, second]


@pytest.mark.parametrize("keep", [None, 1])
def test_a_kill_at_any_request_leaves_the_old_or_the_new_backup_whole(tmp_path, keep):
    """*keep*: also while the old one is removed."""
    left = []
    for number in range(30):
        folder = tmp_path / str(number)
        kept = PodBackups(FolderStore(folder), "redis", SECRET)
        made(kept, NOW, b"old")
        dying = PodBackups(DyingStore(FolderStore(folder), number), "redis", SECRET)
        try:
            made(dying, NOW + 60, b"new")
            if keep:
                dying.keep(keep)
        except CutOff:
            pass
        else:
            break
        left.append([whole(kept, kept.backup(name))[0] for name in kept.names()])
        made(kept, NOW + 120, b"next")
        assert {name.split("/")[2] for name in objects(kept)} == set(kept.names())
    assert {tuple(one) for one in left} == {(b"old",)} | ({(b"old", b"new"), (b"new",)} if keep else set())


def test_the_newest_stay_and_what_does_not_open_is_not_counted(backups, tmp_path):
    names = [made(backups, NOW + second, b"x").name for second in range(4)]
    damaged = f"20991231T235959Z-{HERE}"
    (tmp_path / "redis" / "index" / damaged).write_bytes(b"no index")
    assert backups.keep(2) == names[:2]
    assert backups.names() == [*names[2:], damaged]
    assert whole(backups, backups.backup(names[3])) == [b"x"]
    with pytest.raises(BadInput, match="cut short"):
        backups.backup()


@pytest.mark.parametrize(
    "cut",
    [
        lambda data: data[:-1],
        lambda data: data[:SEALED_CHUNK],
        lambda data: data[SEALED_CHUNK:] + data[:SEALED_CHUNK],
        lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    ],
    ids=["a byte less", "a chunk less", "swapped", "a byte changed"],
)
def test_a_stream_that_was_changed_is_refused(backups, cut):
    found = made(backups)
    (name,) = objects(backups)
    backups.store.put(name, cut(backups.store.get(name, PIECE)))
    with pytest.raises(BadInput):
        whole(backups, found)


def test_a_longer_stream_is_not_read(backups):
    found = made(backups)
    (name,) = objects(backups)
    backups.store.put(name, backups.store.get(name, PIECE) + b"x")
    with pytest.raises(StoreFailure):
        whole(backups, found)


def test_pieces_of_another_backup_or_place_are_refused(backups):
    data = b"ab" * (9 * CHUNK // 2)
    older, newer = made(backups, NOW, data), made(backups, NOW + 1, data)
    first, second, third, fourth = objects(backups)
    was = backups.store.get(third, PIECE)
    for wrong in (first, fourth):
        backups.store.put(third, backups.store.get(wrong, PIECE))
        with pytest.raises(BadInput):
            whole(backups, newer)
    backups.store.put(third, was)
    assert whole(backups, newer) == whole(backups, older)
    backups.store.delete(second)
    with pytest.raises(BadInput, match="it is not there"):
        whole(backups, older)


def test_a_backup_under_another_name_is_refused(backups, tmp_path):
    older = made(backups)
    index = tmp_path / "redis" / "index"
    shutil.copy(index / older.name, index / f"20991231T235959Z-{HERE}")
    with pytest.raises(BadInput, match="belongs elsewhere"):
        backups.backup()
    shutil.copytree(tmp_path / "redis", tmp_path / "other")
    with pytest.raises(BadInput, match="belongs elsewhere"):
        PodBackups(FolderStore(tmp_path), "other", SECRET).backup(older.name)


def test_another_key_opens_nothing(backups, tmp_path):
    made(backups)
    with pytest.raises(BadInput, match="does not open with this key"):
        PodBackups(FolderStore(tmp_path), "redis", b"t" * 32).backup()


def test_a_backup_that_is_not_there_is_said_with_those_that_are(backups):
    name = made(backups).name
    for wanted in ("20200101T000000Z", name[:4]):
        with pytest.raises(BadInput) as error:
            backups.backup(wanted)
        assert name in (error.value.hint or "")
