# SPDX-License-Identifier: Apache-2.0
import os
from pathlib import Path

import pytest

from trustedpods.protocol.errors import BadInput, NoContext
from trustedpods.provider.setup.files import ServiceUser, operator_key, put, readable_by, remove, service_user

ME = ServiceUser(os.geteuid(), os.getegid())
STRANGER = ServiceUser(54321, 54321)


def test_a_file_is_written_once_and_replaced_when_it_differs(tmp_path):
    path = tmp_path / "etc" / "a"
    assert put(path, "one", ME, private=True).state == "written"
    number = path.stat().st_ino
    assert put(path, "one", ME, private=True).state == "unchanged"
    assert path.stat().st_ino == number
    assert put(path, "two", ME, private=True).state == "replaced"
    assert path.read_text() == "two"
    assert path.stat().st_mode & 0o777 == 0o640
    assert put(path.with_name("b"), "", ME, private=False).state == "written"
    assert path.with_name("b").stat().st_mode & 0o777 == 0o644
    assert sorted(path.parent.iterdir()) == [path, path.with_name("b")]


def test_a_file_that_a_kill_left_unreadable_is_mended(tmp_path):
    path = tmp_path / "a"
    for left in (0o600, 0o644):
        path.write_text("one")
        path.chmod(left)
        assert put(path, "one", ME, private=True).state == "unchanged"
        assert path.stat().st_mode & 0o777 == 0o640


def test_what_cannot_be_written_says_where(tmp_path):
    (tmp_path / "file").write_text("")
    for failing in (lambda path: put(path, "", ME, private=True), lambda path: operator_key(path, ME)):
        with pytest.raises(BadInput, match="cannot be written") as caught:
            failing(tmp_path / "file" / "below")
        assert caught.value.where == str(tmp_path / "file" / "below")


def test_what_is_of_no_use_is_removed_once(tmp_path):
    path = tmp_path / "row"
    path.write_text("")
    assert [one.state for one in remove(path)] == ["removed"]
    assert remove(path) == []


def test_the_daemons_user_has_to_be_there():
    assert service_user("root").uid == 0
    with pytest.raises(NoContext, match="no user nobody-of-that-name") as caught:
        service_user("nobody-of-that-name")
    assert "useradd" in caught.value.hint


def test_who_may_read_a_file_goes_by_the_modes_of_all_folders(tmp_path):
    path = tmp_path / "folder" / "kubeconfig"
    path.parent.mkdir()
    path.write_text("")
    for folder in (path.parent, *path.parent.parents):
        if folder.stat().st_uid == os.geteuid() and folder.is_relative_to(tmp_path.parent.parent):
            folder.chmod(0o755)
    owner = ServiceUser(path.stat().st_uid, 1)
    path.chmod(0o600)
    assert readable_by(path, owner)
    assert not readable_by(path, STRANGER)
    path.chmod(0o604)
    open_above = all(one.stat().st_mode & 0o1 for one in path.resolve().parents)
    assert readable_by(path, STRANGER) is open_above
    path.parent.chmod(0o700)
    assert not readable_by(path, STRANGER)
    assert readable_by(path, ServiceUser(0, 0))
    assert not readable_by(Path("/nowhere/at/all"), owner)
