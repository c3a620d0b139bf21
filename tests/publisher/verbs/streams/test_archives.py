# SPDX-License-Identifier: Apache-2.0
"""What goes out as an archive comes back the same, and no archive writes outside of its folder."""

import contextlib
import io
import os
import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.protocol.errors import BadInput, Refused, RemoteProtocolError
from trustedpods.publisher.verbs.streams.archives import MAX_EXTENDED, CopyUnpacker, pack, put_in_place

PARTS = st.sampled_from(["a", "b", "..", ".", "", "dir", "link"])
PATHS = st.lists(PARTS, max_size=4).map("/".join)
KINDS = st.sampled_from(
    [tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE]
)
ENTRIES = st.lists(st.tuples(PATHS, KINDS, PATHS, st.integers(0, 0o7777)), max_size=8)


def archive(entries):
    """A tar of (name, kind, target, mode), each file with its name as content."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w|", format=tarfile.GNU_FORMAT) as writing:
        for name, kind, target, mode in entries:
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.mode = kind, target, mode
            data = name.encode() if kind == tarfile.REGTYPE else b""
            info.size = len(data)
            writing.addfile(info, io.BytesIO(data))
    return made.getvalue()


def unpack(data, folder):
    skipped = []
    unpacker = CopyUnpacker(folder, lambda *_: None, skipped.append)
    unpacker.run(io.BytesIO(data))
    return unpacker, skipped


def files(folder):
    """Everything below: kind, mode, content or target."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = ("link", os.readlink(path))
        else:
            found[name] = (path.stat().st_mode, path.read_bytes() if path.is_file() else None)
    return found


@given(ENTRIES)
def test_nothing_is_written_outside_and_no_link_leads_there(entries):
    with tempfile.TemporaryDirectory() as outer:
        folder = Path(outer) / "inside"
        folder.mkdir()
        (Path(outer) / "a").write_text("untouched")
        with contextlib.suppress(RemoteProtocolError):
            unpack(archive(entries), folder)
        assert sorted(os.listdir(outer)) == ["a", "inside"]
        assert (Path(outer) / "a").read_text() == "untouched"
        for path in folder.rglob("*"):
            assert path.lstat().st_mode & 0o7000 == 0
            if path.is_symlink() and path.exists():
                assert path.resolve().is_relative_to(folder)


@pytest.mark.parametrize(
    "entries",
    [
        [("/etc/passwd", tarfile.REGTYPE, "", 0o644)],
        [("top/../../x", tarfile.REGTYPE, "", 0o644)],
        [("top", tarfile.DIRTYPE, "", 0o755), ("top/l", tarfile.SYMTYPE, ".", 0o777),
         ("top/l/x", tarfile.REGTYPE, "", 0o644)],
        [("top/x", tarfile.REGTYPE, "", 0o644), ("top/x", tarfile.REGTYPE, "", 0o644)],
        [("top/x", tarfile.LNKTYPE, "../secret", 0o644)],
        [("top/x", tarfile.LNKTYPE, "top/never", 0o644)],
        [("top/x", tarfile.GNUTYPE_SPARSE, "", 0o644)],
        [("top/x", tarfile.XGLTYPE, "", 0o644)],
    ],
    ids=["absolute", "up", "through a link", "twice", "second name outside", "second name of nothing",
         "holes", "headers for all"],
)  # fmt: skip
def test_what_no_honest_tar_sends(tmp_path, entries):
    with pytest.raises(RemoteProtocolError) as caught:
        unpack(archive(entries), tmp_path)
    assert caught.value.rule == "copy-unsafe"


@pytest.mark.parametrize(
    "target", ["/etc/passwd", "../outside", "d/../../x", "../top/../../x", "../top/f", "./.."]
)
def test_a_link_that_leaves_is_left_out_and_told(tmp_path, target):
    entries = [("top/l", tarfile.SYMTYPE, target, 0o777), ("top/f", tarfile.REGTYPE, "", 0o644)]
    unpacker, skipped = unpack(archive(entries), tmp_path)
    assert (unpacker.files, len(skipped)) == (1, 1)
    assert os.listdir(tmp_path / "top") == ["f"]


@pytest.mark.parametrize(
    "headers",
    [
        {"GNU.sparse.map": "0,1", "GNU.sparse.size": "4096"},
        {"GNU.sparse.size": "4096", "GNU.sparse.numblocks": "0"},
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "4096"},
    ],
    ids=["0.1", "0.0", "1.0"],
)
def test_a_file_with_holes(tmp_path, headers):
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w|", format=tarfile.PAX_FORMAT, pax_headers={}) as writing:
        info = tarfile.TarInfo("top")
        info.pax_headers = headers
        writing.addfile(info)
    with pytest.raises(RemoteProtocolError, match="holes") as caught:
        unpack(made.getvalue(), tmp_path)
    assert caught.value.rule == "copy-unsafe"
    assert os.listdir(tmp_path) == []


def test_headers_of_headers(tmp_path):
    """Each has Python's reader call itself."""
    info = tarfile.TarInfo("x")
    info.type = tarfile.XHDTYPE
    with pytest.raises(RemoteProtocolError) as caught:
        unpack(info.tobuf(tarfile.USTAR_FORMAT) * 2000, tmp_path)
    assert caught.value.rule == "copy-unsafe"


@pytest.mark.parametrize("headers", [{"linkpath": "a\0b"}, {"path": "a\0b"}])
def test_headers_that_say_what_cannot_be(tmp_path, headers):
    info = tarfile.TarInfo("x")
    info.type, info.linkname, info.pax_headers = tarfile.SYMTYPE, "y", headers
    with pytest.raises(RemoteProtocolError) as caught:
        unpack(info.tobuf(tarfile.PAX_FORMAT) + bytes(10240), tmp_path)
    assert caught.value.rule == "copy-unsafe"


def test_modes_are_those_that_this_user_gives(tmp_path):
    entries = [("top/in", tarfile.DIRTYPE, "", 0o777), ("top/in/f", tarfile.REGTYPE, "", 0o777)]
    unpack(archive([*entries, ("top", tarfile.DIRTYPE, "", 0o777)]), tmp_path)
    (tmp_path / "own").mkdir()
    expected = (tmp_path / "own").stat().st_mode & 0o777
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "top").rglob("*")} == {expected}
    assert (tmp_path / "top").stat().st_mode & 0o777 == expected


def test_links_that_leave_are_not_sent(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for name, target in {"out": "/etc/passwd", "up": "../source/f", "in": "f"}.items():
        (source / name).symlink_to(target)
    stream, skipped = io.BytesIO(), []
    pack(source, "named", stream, lambda *_: None, skipped.append)
    stream.seek(0)
    with tarfile.open(fileobj=stream) as sent:
        assert sent.getnames() == ["named", "named/in"]
    assert len(skipped) == 2
    with pytest.raises(BadInput, match="a link"):
        pack(source / "in", "named", io.BytesIO(), print, print)


@pytest.mark.parametrize(
    "data", [b"", b"no archive" * 100, archive([("top/x", tarfile.REGTYPE, "", 0o644)])[:520]]
)
def test_what_is_no_archive(tmp_path, data):
    with pytest.raises(RemoteProtocolError):
        unpack(data, tmp_path)


def test_a_header_that_would_fill_the_memory(tmp_path):
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, MAX_EXTENDED + 1
    with pytest.raises(RemoteProtocolError, match="extended header"):
        unpack(info.tobuf(tarfile.GNU_FORMAT) + bytes(10240), tmp_path)


def test_there_and_back(tmp_path):
    source, back = tmp_path / "source", tmp_path / "back"
    (source / "deep" / "er").mkdir(parents=True)
    (source / "empty").mkdir()
    (source / "deep" / "file").write_bytes(os.urandom(300_000))
    (source / "run").write_text("#!/bin/sh")
    (source / "run").chmod(0o755)
    (source / ("long" * 40)).write_text("long name")
    (source / "ünï").write_text("é")
    (source / "link").symlink_to("deep/file")
    (source / "deep" / "up").symlink_to("../run")
    os.link(source / "run", source / "same")
    os.mkfifo(source / "pipe")
    back.mkdir()
    stream, told, skipped = io.BytesIO(), [], []
    counted = pack(source, "named", stream, lambda *what: told.append(what), skipped.append)
    unpacker, left_out = unpack(stream.getvalue(), back)
    assert left_out == []
    assert [text.endswith("nor a link") for text in skipped] == [True]
    (source / "pipe").unlink()
    assert files(back / "named") == files(source)
    assert counted == (unpacker.files, unpacker.size)
    assert ("named/deep/file", 300_000, 300_000) in told


def test_what_cannot_be_read(tmp_path):
    with pytest.raises(BadInput):
        pack(tmp_path / "nothing", "x", io.BytesIO(), print, print)


def test_a_folder_takes_no_others_place(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "made").write_text("new")
    with pytest.raises(BadInput):
        put_in_place(tmp_path / "made", tmp_path / "there")
    (tmp_path / "old").write_text("old")
    put_in_place(tmp_path / "made", tmp_path / "old")
    assert (tmp_path / "old").read_text() == "new"
    with pytest.raises(Refused):
        put_in_place(tmp_path / "made", tmp_path / "old")
    with pytest.raises(BadInput):
        put_in_place(tmp_path / "there", tmp_path / "old")
    assert (tmp_path / "old").read_text() == "new"
