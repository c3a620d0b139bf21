# SPDX-License-Identifier: Apache-2.0
import os
import stat
import threading

import pytest

from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.whole_file import read_open, read_whole, read_whole_or_none, replace_whole


@pytest.fixture
def path(tmp_path):
    return tmp_path / "one.json"


def test_a_file_is_read_up_to_its_bound(path):
    path.write_bytes(b"x" * 1024)
    assert read_whole(path, 1024) == read_whole_or_none(path, 1024) == b"x" * 1024
    path.write_bytes(b"x" * 1025)
    with pytest.raises(BadInput) as caught:
        read_whole(path, 1024, "the record", "remove it")
    assert str(caught.value) == f"{path}: cannot read the record: larger than 1 KiB"
    assert caught.value.hint == "remove it"
    with pytest.raises(BadInput, match="larger than 1000 bytes"):
        read_whole_or_none(path, 1000)
    with open("/dev/zero") as endless, pytest.raises(BadInput, match="larger than 1 MiB"):
        read_whole(type(path)(endless.name), 1 << 20)


def test_a_file_that_is_not_there_or_cannot_be_read_is_named(path):
    assert read_whole_or_none(path, 10) is None
    with pytest.raises(BadInput) as caught:
        read_whole(path, 10, "the key")
    assert str(caught.value) == f"{path}: cannot read the key: No such file or directory"
    with pytest.raises(BadInput, match="cannot read it: Is a directory"):
        read_whole_or_none(path.parent, 10)


def test_a_file_is_replaced_and_is_its_users_alone(path):
    replace_whole(path, b"before")
    replace_whole(path, b"after")
    assert path.read_bytes() == b"after"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(path, monkeypatch):
    replace_whole(path, b"before")

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        replace_whole(path, b"after")
    assert path.read_bytes() == b"before"
    assert list(path.parent.iterdir()) == [path]


def test_it_is_on_the_disk_before_it_is_in_place_and_its_name_behind_it(path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append((os.fstat(descriptor), path.exists())))
    replace_whole(path, b"x" * 10)
    (file, was_there), (folder, is_there) = synced
    assert (file.st_size, was_there) == (10, False)
    assert os.path.samestat(folder, path.parent.stat())
    assert is_there


def test_a_failed_sync_of_the_folder_is_told_and_leaves_the_new_file(path, monkeypatch):
    replace_whole(path, b"before")
    real = os.fsync

    def files_only(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(5, "Input/output error")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", files_only)
    with pytest.raises(OSError, match="Input/output"):
        replace_whole(path, b"after")
    assert path.read_bytes() == b"after"
    assert list(path.parent.iterdir()) == [path]


class Killed(BaseException):
    """Like a signal: no ordinary handler takes it."""


@pytest.mark.parametrize(("renamed", "left"), [(False, b"before"), (True, b"after")])
def test_a_kill_at_the_rename_leaves_old_or_new_content(path, monkeypatch, renamed, left):
    replace_whole(path, b"before")
    real = os.replace

    def killed(draft, target):
        if renamed:
            real(draft, target)
        raise Killed

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(Killed):
        replace_whole(path, b"after")
    assert path.read_bytes() == left
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("mode", [0o600, 0o640])
def test_the_mode_is_set_before_anything_is_in_the_file(path, monkeypatch, mode):
    made = []
    real = os.open

    def opened(name, flags, *rest):
        descriptor = real(name, flags, *rest)
        if flags & os.O_CREAT:
            made.append(os.fstat(descriptor))
        return descriptor

    monkeypatch.setattr(os, "open", opened)
    replace_whole(path, b"secret", mode)
    [status] = made
    assert (status.st_mode & 0o777, status.st_size) == (mode, 0)
    assert path.stat().st_mode & 0o777 == mode


def test_a_link_is_replaced_and_not_followed(path):
    target = path.with_name("elsewhere")
    target.write_bytes(b"untouched")
    path.symlink_to(target)
    replace_whole(path, b"after")
    assert (path.read_bytes(), path.is_symlink(), target.read_bytes()) == (b"after", False, b"untouched")


def test_writers_side_by_side_leave_one_whole_file(path):
    contents = [bytes([65 + i]) * 100_000 for i in range(8)]
    threads = [threading.Thread(target=replace_whole, args=(path, content)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() in contents
    assert list(path.parent.iterdir()) == [path]


def test_a_file_that_is_open_is_read_whatever_took_its_name(path):
    path.write_bytes(b"x" * 1024)
    with path.open("rb") as file:
        replace_whole(path, b"other")
        assert read_open(file, path, 1024) == b"x" * 1024
        file.seek(0)
        with pytest.raises(BadInput, match="cannot read the key: larger than 1000 bytes"):
            read_open(file, path, 1000, "the key")
