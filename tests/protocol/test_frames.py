# SPDX-License-Identifier: Apache-2.0
import contextlib
import itertools
import random
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trustedpods.protocol.errors import LocalProtocolError, RemoteProtocolError
from trustedpods.protocol.frames import (
    HEADER_BYTES,
    MAX_PAYLOAD,
    MERGED_PIECES,
    SMALL_PIECE,
    FrameReader,
    frame,
)


def test_the_layout_is_frozen():
    digest = "049c287ed3e2d554fabbbf4055dc3621a8bf44852f372b29a1be7570653fe789"
    assert frame(b"pods").hex() == "00000004" + digest + "706f6473"


@given(st.lists(st.binary(max_size=200), max_size=8), st.data())
def test_payloads_come_out_however_the_bytes_are_cut(payloads: list[bytes], data: st.DataObject):
    stream = b"".join(frame(payload) for payload in payloads)
    reader, seen = FrameReader(), []
    while stream:
        step = data.draw(st.integers(1, len(stream)))
        reader.feed(stream[:step])
        stream = stream[step:]
        while (payload := reader.take(200)) is not None:
            seen.append(payload)
    assert seen == payloads
    assert reader.buffered == 0


SIZES = st.one_of(
    st.integers(0, 100), st.integers(SMALL_PIECE - 50, SMALL_PIECE + 50), st.integers(0, 3 * MERGED_PIECES)
)


@settings(max_examples=30)
@given(st.lists(SIZES, max_size=5), st.lists(SIZES.filter(bool), min_size=1, max_size=8))
def test_large_payloads_come_out_of_pieces_of_any_size(sizes: list[int], steps: list[int]):
    payloads = [random.Random(size).randbytes(size) for size in sizes]
    stream, at, reader, seen = b"".join(frame(payload) for payload in payloads), 0, FrameReader(), []
    for step in itertools.cycle(steps):
        reader.feed(stream[at : at + step])
        at += step
        while (payload := reader.take(MAX_PAYLOAD)) is not None:
            seen.append(payload)
        rest = len(stream) - sum(HEADER_BYTES + len(payload) for payload in seen)
        assert reader.buffered == rest - max(0, len(stream) - at)
        if at >= len(stream):
            break
    assert seen == payloads


@pytest.mark.parametrize(
    ("step", "size"), [(1, 20_000), (1000, 300_000), (SMALL_PIECE, 300_000), (100_000, 300_000)]
)
def test_what_waits_takes_little_more_memory_than_its_bytes(step: int, size: int):
    """A peer that sends byte by byte, or the first bytes of a frame behind a large one, fills no memory."""
    stream = frame(bytes(1000)) + frame(bytes(size))[:-1]
    tracemalloc.start()
    try:
        before, reader = tracemalloc.get_traced_memory()[0], FrameReader()
        for at in range(0, len(stream), step):
            reader.feed(stream[at : at + step])
            assert reader.take(MAX_PAYLOAD) in (None, bytes(1000))
        held = tracemalloc.get_traced_memory()[0] - before
        assert reader.buffered == HEADER_BYTES + size - 1
        assert held < 1.25 * reader.buffered + 10_000
    finally:
        tracemalloc.stop()


def test_a_few_bytes_behind_a_large_frame_do_not_hold_it():
    reader = FrameReader()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        reader.feed(frame(bytes(1_000_000)) + b"abc")
        assert len(reader.take(MAX_PAYLOAD) or b"") == 1_000_000
        assert reader.buffered == 3
        assert tracemalloc.get_traced_memory()[0] - before < 10_000
    finally:
        tracemalloc.stop()


@given(st.binary(min_size=1, max_size=100), st.data())
def test_any_changed_byte_is_noticed(payload: bytes, data: st.DataObject):
    changed = bytearray(frame(payload))
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
    reader = FrameReader()
    reader.feed(bytes(changed))
    with contextlib.suppress(RemoteProtocolError):
        assert reader.take(100) is None  # a longer length: it waits for more


@given(st.binary(max_size=300))
def test_arbitrary_bytes_raise_nothing_else(data: bytes):
    reader = FrameReader()
    reader.feed(data)
    with contextlib.suppress(RemoteProtocolError):
        while reader.take(100) is not None:
            pass


def test_a_large_frame_is_refused_at_its_header():
    reader = FrameReader()
    reader.feed(frame(bytes(1001))[:HEADER_BYTES])
    assert reader.missing(1001) == 1001
    with pytest.raises(RemoteProtocolError):
        reader.missing(1000)
    with pytest.raises(RemoteProtocolError):
        reader.take(1000)


def test_missing_counts_down():
    reader = FrameReader()
    whole = frame(b"12345")
    assert reader.missing(5) == HEADER_BYTES
    reader.feed(whole[:HEADER_BYTES])
    assert reader.missing(5) == 5
    reader.feed(whole[HEADER_BYTES:])
    assert reader.missing(5) == 0
    assert reader.take(5) == b"12345"


def test_an_empty_payload_is_a_frame():
    reader = FrameReader()
    reader.feed(frame(b""))
    assert reader.take(0) == b""
    assert reader.take(0) is None


def test_a_payload_over_the_limit_is_our_own_fault():
    with pytest.raises(LocalProtocolError):
        frame(bytes(MAX_PAYLOAD + 1))
