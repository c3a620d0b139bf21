# SPDX-License-Identifier: Apache-2.0
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.protocol.errors import LocalProtocolError, RemoteProtocolError
from trustedpods.protocol.frames import HEADER_BYTES, MAX_PAYLOAD, FrameReader, frame


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
