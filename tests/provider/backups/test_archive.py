# SPDX-License-Identifier: Apache-2.0
"""A backup is whole or refused: any cut, any changed byte, any file in another's place."""

import io
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from trustedpods.protocol.errors import BadInput
from trustedpods.provider.backups import archive
from trustedpods.provider.backups.contents import BOOKS, SETTINGS
from trustedpods.provider.backups.index import BackedUpProvider, BackupIndex

PROVIDER = BackedUpProvider(chain_id=1, payments="0x1", owner="0x2", daemon=3)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("archive")
    books = folder / "books"
    books.write_bytes(bytes(range(256)) * 9)
    contents = {SETTINGS: b"settings", "keys/operator": b"1" * 64}
    files = [
        archive.indexed(name, io.BytesIO(data), 0o600, "root", "root") for name, data in contents.items()
    ]
    with books.open("rb") as file:
        files.append(archive.indexed(BOOKS, file, 0o600, "root", "root"))
    index = BackupIndex(version="1", made=5, provider=PROVIDER, schema_of_books="0001", files=files)
    target = io.BytesIO()
    archive.write(target, index, contents, books)
    return index, contents | {BOOKS: books.read_bytes()}, target.getvalue()


def unpacked(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("unpacked")
    (folder / "backup").write_bytes(data)
    (folder / "into").mkdir()
    index = archive.unpack(folder / "backup", folder / "into")
    return index, {
        one.name: (folder / "into" / str(number)).read_bytes() for number, one in enumerate(index.files)
    }


def test_everything_comes_out_as_it_went_in(tmp_path_factory, whole):
    index, contents, data = whole
    assert unpacked(tmp_path_factory, data) == (index, contents)


def test_it_lists_as_any_archive(whole):
    with tarfile.open(fileobj=io.BytesIO(whole[2])) as found:
        names = found.getnames()
        assert {member.mode for member in found.getmembers()} == {0o600}
    assert names == ["index.json", SETTINGS, "keys/operator", BOOKS, "index.json.sha256"]


@settings(max_examples=examples(300), deadline=None)
@given(data=st.data())
def test_a_part_of_it_is_refused(tmp_path_factory, whole, data):
    end = whole[2].rstrip(b"\0")  # what follows is an archive's padding
    cut = data.draw(st.integers(0, len(end) - 1))
    with pytest.raises(BadInput):
        unpacked(tmp_path_factory, whole[2][:cut])


@settings(max_examples=examples(300), deadline=None)
@given(data=st.data())
def test_a_changed_byte_is_refused_or_changes_nothing(tmp_path_factory, whole, data):
    index, contents, good = whole
    place = data.draw(st.integers(0, len(good) - 1))
    changed = bytearray(good)
    changed[place] ^= data.draw(st.integers(1, 255))
    try:
        found = unpacked(tmp_path_factory, bytes(changed))
    except BadInput:
        return
    assert found == (index, contents)  # padding, or a field of the archive that nobody reads


@pytest.mark.parametrize("which", [0, 1, 3, 4])
def test_a_file_less_is_refused(tmp_path_factory, whole, which):
    with tarfile.open(fileobj=io.BytesIO(whole[2])) as found:
        kept = [
            (member, found.extractfile(member).read())
            for number, member in enumerate(found.getmembers())
            if number != which
        ]
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as made:
        for member, content in kept:
            made.addfile(member, io.BytesIO(content))
    with pytest.raises(BadInput):
        unpacked(tmp_path_factory, target.getvalue())


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE])
def test_what_is_no_plain_file_is_refused(tmp_path_factory, kind):
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as made:
        member = tarfile.TarInfo("index.json")
        member.type, member.linkname = kind, "/etc/passwd"
        made.addfile(member)
    with pytest.raises(BadInput, match="no plain file"):
        unpacked(tmp_path_factory, target.getvalue())


def test_a_newer_format_says_what_made_it(tmp_path_factory, whole):
    text = whole[0].text().replace(b'"format_version": 1', b'"more": 7, "format_version": 2')
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as made:
        member = tarfile.TarInfo("index.json")
        member.size = len(text)
        made.addfile(member, io.BytesIO(text))
    with pytest.raises(BadInput, match="format 2, and this version knows 1") as caught:
        unpacked(tmp_path_factory, target.getvalue())
    assert "version 1" in caught.value.hint


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.SOLARIS_XHDTYPE])
def test_a_header_is_not_read_before_it_is_known_to_be_short(tmp_path_factory, kind):
    member = tarfile.TarInfo("index.json")
    member.type, member.size = kind, 2**32
    with pytest.raises(BadInput, match="a header of 4294967296 bytes"):
        unpacked(tmp_path_factory, member.tobuf() + bytes(1024))


def test_headers_inside_of_each_other_have_an_end(tmp_path_factory):
    member = tarfile.TarInfo("index.json")
    member.type = tarfile.XHDTYPE
    with pytest.raises(BadInput):
        unpacked(tmp_path_factory, member.tobuf() * 3000)


def test_a_size_is_not_negative(tmp_path_factory):
    member = tarfile.TarInfo("index.json")
    member.size = -512
    with pytest.raises(BadInput):
        unpacked(tmp_path_factory, member.tobuf(format=tarfile.GNU_FORMAT) + bytes(1024))
