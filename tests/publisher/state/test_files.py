# SPDX-License-Identifier: Apache-2.0
import os
import threading

import pytest

from trustedpods.publisher.state.files import write_whole


def test_a_file_is_replaced_and_is_its_users_alone(tmp_path):
    path = tmp_path / "state" / "pods" / "one.json"
    write_whole(path, b"before")
    write_whole(path, b"after")
    assert path.read_bytes() == b"after"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [entry.name for entry in path.parent.iterdir()] == ["one.json"]


def test_what_was_there_stays_when_writing_fails(tmp_path, monkeypatch):
    path = tmp_path / "one.json"
    write_whole(path, b"before")

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(path, b"after")
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_it_is_on_the_disk_before_it_is_in_place(tmp_path, monkeypatch):
    path, synced = tmp_path / "one.json", []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append((os.fstat(descriptor), path.exists())))
    write_whole(path, b"x" * 10)
    [(status, was_there)] = synced
    assert (status.st_size, was_there) == (10, False)


def test_writers_side_by_side_leave_one_whole_file(tmp_path):
    path = tmp_path / "one.json"
    contents = [bytes([65 + i]) * 100_000 for i in range(8)]
    threads = [threading.Thread(target=write_whole, args=(path, content)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() in contents
    assert list(tmp_path.iterdir()) == [path]
