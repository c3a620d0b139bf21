# SPDX-License-Identifier: Apache-2.0
# mypy: disable-error-code="attr-defined"
"""What a layer takes is what a node would write of it, and it is read no further than its bound."""

import gzip
import io
import tarfile
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.images.image_parts import NET_BIND, entry, sealed_header, sparse_entry, tar
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.images.layers import BLOCK, DISK_BLOCK, MAX_EXTENDED, LayerReader
from trustedpods.protocol.limits import MIB

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1, max_size=200).filter(
    lambda name: name not in (".", "..")  # those name folders
)
FORMS = st.sampled_from((tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT))


def read(layer, packing="", most=1 << 40, piece=1 << 20, watch="", **more):
    reader = LayerReader(packing, most, watch, **more)
    for at in range(0, len(layer), piece):
        reader.feed(layer[at : at + piece])
    return reader.finish()


def blocks(size):
    return -(-size // DISK_BLOCK) * DISK_BLOCK


@given(st.dictionaries(NAMES, st.binary(max_size=9000), max_size=6), st.sampled_from((1, 511, 4096)))
def test_files_count_in_whole_blocks_with_their_headers(files, piece):
    layer = tar(*(entry(f"d/{name}", data) for name, data in files.items()), form=tarfile.GNU_FORMAT)
    with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
        members = list(archive)
    ends: list[int | None] = [member.offset for member in members[1:]]
    ends += [None] * (len(members) - len(ends))
    expected = 0
    for member, end in zip(members, ends, strict=True):
        padded = -(-member.size // BLOCK) * BLOCK
        extra = padded - member.size
        whole = (member.offset_data + padded if end is None else end) - member.offset - extra
        expected += blocks(whole)
    assert read(layer, piece=piece).unpacked == expected


@given(st.lists(st.integers(0, 20_000), max_size=5), FORMS)
def test_never_less_than_what_python_unpacks(sizes, form):
    layer = tar(*(entry(f"f{n}", bytes(size)) for n, size in enumerate(sizes)), form=form)
    found = read(gzip.compress(layer), "gzip").unpacked
    assert sum(map(blocks, sizes)) <= found <= sum(map(blocks, sizes)) + DISK_BLOCK * 3 * len(sizes)


def test_a_small_file_takes_a_block_and_so_does_an_empty_one():
    layer = tar(*(entry(str(n)) for n in range(1000)), entry("one", b"x"))
    assert read(layer).unpacked == 1001 * DISK_BLOCK


@pytest.mark.parametrize("size", [1 << 20, 1 << 35])
def test_a_sparse_file_counts_whole(size):
    end = bytes(1024)
    assert read(sparse_entry(size) + end).unpacked == blocks(size + BLOCK)
    pax = tar(entry("sparse", pax_headers={"GNU.sparse.realsize": str(size), "GNU.sparse.major": "1"}))
    assert read(pax).unpacked >= size


def test_a_bomb_is_left_at_its_bound_and_takes_no_memory():
    """256 MB of zeros in one file, packed to 260 KB: read no further than the bound, in bounded memory."""
    packer, header = gzip.zlib.compressobj(wbits=31), entry("zeros")[0]
    header.size = 1 << 28
    packed = packer.compress(header.tobuf())
    for _ in range(16):
        packed += packer.compress(bytes(1 << 24))
    packed += packer.flush()
    assert len(packed) < MIB
    tracemalloc.start()
    with pytest.raises(BadInput, match="more than 64 MiB") as caught:
        read(packed, "gzip", most=64 * MIB)
    assert tracemalloc.get_traced_memory()[1] < 8 * MIB
    tracemalloc.stop()
    assert caught.value.rule == "image-size"


def test_zeros_behind_the_end_are_bounded_too():
    packed = gzip.compress(bytes(64 * MIB))
    with pytest.raises(BadInput, match="more than 8 MiB"):
        read(packed, "gzip", most=8 * MIB)


def bent(change, name="app", size=0):
    info = entry(name)[0]
    info.size = size
    block = bytearray(info.tobuf(tarfile.USTAR_FORMAT))
    change(block)
    return sealed_header(block) + bytes(1024)


def put(at, data):
    def change(block):
        block[at : at + len(data)] = data

    return change


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (bent(put(156, b"5"), size=1 << 20), "is no file and has"),
        (bent(put(156, b"1"), size=1 << 20), "is no file and has"),
        (bent(put(156, b"\0"), name="folder/", size=1 << 20), "is no file and has"),
        (bent(put(156, b"V")), "of kind"),
        (bent(put(156, b"7")), "of kind"),
        (bent(put(124, b"\xff" * 12)), "negative"),
        (bent(put(124, b"8" * 11)), "is none"),
        (bent(put(156, b"x"), size=MAX_EXTENDED + 1), "the bound is"),
        (bent(put(156, b"L")), "ends within an entry"),
        (b"\xff" * 1024, "not an archive"),
        (bytes(512) + bent(put(156, b"0")), "goes on behind"),
        (tar(entry("a", b"x" * 2000))[:1024], "ends within an entry"),
        (tar(entry("a"))[:500], "ends within an entry"),
    ],
)
def test_what_two_readers_could_read_differently_is_refused(layer, words):
    with pytest.raises(BadInput, match=words):
        read(layer)


@pytest.mark.parametrize(
    "records",
    [
        b"no records",
        b"5 a=b\n",
        b"99 a=b\n",
        b"0 \n",
        b"6 a=b\nx",
        b"6 a b\n",
        b"10 size=-1\n",
        b"11 size=1e3\n",
    ],
)
def test_bad_extended_headers_are_refused(records):
    header = bytearray(entry("pax")[0].tobuf())
    header[124:136] = b"%011o\0" % len(records)
    header[156:157] = b"x"
    padded = records + bytes(-len(records) % BLOCK)
    with pytest.raises(BadInput):
        read(sealed_header(header) + padded + entry("a")[0].tobuf() + bytes(1024))


def test_the_size_of_an_extended_header_counts_over_the_headers_own():
    layer = tar(entry("big", b"x" * 100_000, pax_headers={"size": "100000"}))
    assert read(layer).unpacked >= 100_000


@given(st.binary(max_size=3000))
def test_anything_is_read_or_refused(data):
    for packing in ("", "gzip", "zstd"):
        try:
            read(data, packing, most=MIB)
        except BadInput:
            continue


@given(st.integers(0, 4000), st.binary(min_size=1, max_size=20))
def test_a_damaged_layer_is_read_or_refused(at, junk):
    layer = bytearray(tar(entry("a", b"x" * 600), entry("b" * 120, b"y"), entry("c", type=tarfile.SYMTYPE)))
    layer[at : at + len(junk)] = junk
    try:
        read(bytes(layer), most=64 * MIB)
    except BadInput:
        return


def test_programs_with_effective_capabilities_are_named():
    def capable(name, value=NET_BIND, **fields):
        return entry(name, b"x", pax_headers={"SCHILY.xattr.security.capability": value}, **fields)

    without = "\x00" + NET_BIND[1:]
    layer = tar(
        capable("./usr/bin/ping"), capable("b", without), capable("c", mode=0o644), capable("d"), entry("d")
    )
    assert read(layer).capable == ("usr/bin/ping",)


@pytest.mark.parametrize("later", ["usr/bin/app", "usr/bin/.wh.app", "usr/.wh..wh..opq", ".wh.usr"])
def test_a_later_layer_replaces_a_file(later):
    assert read(tar(entry(later)), watch="usr/bin/app").watched
    assert not read(tar(entry(later + "x")), watch="usr/bin/app").watched


def test_behind_so_many_names_a_node_knows_better_where_hard_links_lead():
    link = entry("hard", type=tarfile.LNKTYPE, linkname="elsewhere")
    files = [entry(f"file{number}") for number in range(4)]
    with pytest.raises(BadInput, match="'hard' leads to '/elsewhere', which is not before it"):
        read(tar(*files, link))
    assert read(tar(*files, link), most_names=4).unpacked == 5 * DISK_BLOCK
