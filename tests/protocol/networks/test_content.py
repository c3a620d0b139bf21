# SPDX-License-Identifier: Apache-2.0
"""A network's state: one form of bytes, a bounded history without secrets, and newer schemas only read."""

import contextlib
import hashlib
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.protocol.networks.team import ALICE, AT, BOB, read, written
from trustedpods.protocol.codec import encode
from trustedpods.protocol.errors import Refused, RemoteProtocolError
from trustedpods.protocol.networks.content import (
    CHUNK,
    MAX_CHUNKS,
    MAX_HISTORY,
    SCHEMA,
    AddressEntry,
    Argument,
    Component,
    HistoryRecord,
    NetworkCluster,
    NetworkContent,
    SecretText,
    StateMetadata,
    arguments,
    read_content,
    recorded,
)
from trustedpods.protocol.networks.sealed_documents import MAX_CONTENT

MARKER = "hunter2-marker"


def record(number: int = 1, result: str = "done") -> HistoryRecord:
    given_ = [("file", "ring.yaml"), ("token", SecretText(MARKER))]
    return HistoryRecord(
        at=AT + number,
        by=BOB.card.member,
        verb="network apply",
        arguments=arguments(given_),
        result=result,
        generation=number,
    )


STATE = NetworkContent(
    metadata=StateMetadata(name="ring", updated_at=AT, updated_by=ALICE.card.member),
    clusters=[
        NetworkCluster(name="north", owner=ALICE.card.member, daemon=0),
        NetworkCluster(name="south", owner=BOB.card.member, daemon=1),
    ],
    components=[
        Component(name="node0", cluster="north", phase="started", publisher=ALICE.card.member),
        Component(name="node1", cluster="south", phase="requested", publisher=BOB.card.member),
    ],
    addresses=[AddressEntry(component="node0", url="https://p.example:8443")],
    history=[[record()]],
)


def packed(fields: dict[str, Any]) -> bytes:
    whole: bytes = msgpack.packb(fields, use_bin_type=True)
    return whole


def test_a_state_comes_back_and_has_one_form() -> None:
    assert read_content(encode(STATE)).writable() == STATE
    assert read(written(ALICE, encode(STATE)), BOB) == encode(STATE)
    backwards = packed(dict(reversed(STATE.model_dump().items())))
    with pytest.raises(RemoteProtocolError, match="one form"):
        read_content(backwards)


def test_the_bytes_of_schema_1_stay_as_they_are() -> None:
    """Frozen: states that stand in clusters must stay readable."""
    assert SCHEMA == 1
    assert (
        hashlib.sha256(encode(STATE)).hexdigest()
        == "3da706ea7492653c4f9e6cb5de078f9083e44e80cd56f0fc6344fae925cda298"
    )


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"components": STATE.components[::-1]}, "in order"),
        ({"clusters": [STATE.clusters[0], STATE.clusters[0]]}, "each once"),
        ({"clusters": STATE.clusters[:1]}, "does not have"),
        ({"components": STATE.components[1:]}, "of no component"),
        ({"history": [[record()], [record()]]}, "only the last chunk"),
    ],
    ids=["order", "twice", "cluster", "address", "chunk"],
)
def test_a_state_holds_together(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        NetworkContent(**{**dict(STATE), **fields})
    with pytest.raises(RemoteProtocolError, match=why):
        read_content(encode(STATE.model_copy(update=fields)))


def test_a_newer_state_is_read_as_far_as_it_is_known_and_not_written() -> None:
    fields = STATE.model_dump()
    fields |= {"schema_version": SCHEMA + 1, "moon": {"phase": "full"}}
    fields["metadata"]["mood"] = "good"
    fields["components"][1]["colour"] = "blue"
    state = read_content(packed(fields))
    assert (state.content, state.schema_version) == (STATE, SCHEMA + 1)
    with pytest.raises(Refused) as caught:
        state.writable()
    assert caught.value.rule == "schema"
    assert caught.value.hint is not None
    assert "newer version" in caught.value.hint


def test_a_newer_state_that_lacks_what_this_version_needs_is_said_so() -> None:
    fields = STATE.model_dump() | {"schema_version": SCHEMA + 1}
    del fields["metadata"]
    with pytest.raises(RemoteProtocolError, match="metadata: Field required"):
        read_content(packed(fields))


@pytest.mark.parametrize("version", [None, 0, -1, "1", True, 1.0])
def test_a_state_says_its_schema(version: object) -> None:
    with pytest.raises(RemoteProtocolError, match="no schema_version"):
        read_content(packed(STATE.model_dump() | {"schema_version": version}))


def test_what_is_too_large_is_not_read() -> None:
    with pytest.raises(RemoteProtocolError, match="over"):
        read_content(bytes(MAX_CONTENT + 1))


def test_a_secret_is_left_out_by_its_type_and_nothing_else_is() -> None:
    assert MARKER.encode() not in encode(STATE)
    kept = arguments([("token", "password=1234"), ("x", "y" * 300), ("key", SecretText("harmless"))])
    assert kept == [
        Argument(name="token", value="password=1234"),
        Argument(name="x", value="y" * 256),
        Argument(name="key", value=None),
    ]


def test_120_commands_are_two_chunks() -> None:
    state = STATE.model_copy(update={"history": []})
    for number in range(120):
        state = recorded(state, record(number))
    assert [len(chunk) for chunk in state.history] == [CHUNK, 120 - CHUNK]
    assert [each.generation for chunk in state.history for each in chunk] == list(range(120))
    assert state.dropped == 0
    assert read_content(encode(state)).content == state


@pytest.mark.parametrize("result", ["", "r" * 256], ids=["short", "long"])
def test_history_is_bounded_and_counts_what_went(result: str) -> None:
    state, most = STATE.model_copy(update={"history": []}), CHUNK * MAX_CHUNKS + 50
    full = [record(number, result) for number in range(CHUNK)]
    state = state.model_copy(update={"history": [full] * MAX_CHUNKS})
    for number in range(most - CHUNK * MAX_CHUNKS):
        state = recorded(state, record(number, result))
    kept = sum(len(chunk) for chunk in state.history)
    assert kept + state.dropped == most
    assert state.dropped % CHUNK == 0
    assert state.dropped > 0
    assert sum(len(encode(each)) for chunk in state.history for each in chunk) <= MAX_HISTORY
    assert read_content(encode(state)).content == state


def test_one_chunk_of_the_largest_records_is_bounded_too() -> None:
    many = [Argument(name="n" * 64, value="v" * 256)] * 16
    huge = record().model_copy(update={"arguments": many})
    state = STATE.model_copy(update={"history": []})
    for _ in range(CHUNK):
        state = recorded(state, huge)
    assert len(state.history) == 1
    assert state.dropped == CHUNK - len(state.history[0]) > 0
    assert sum(len(encode(each)) for each in state.history[0]) <= MAX_HISTORY


@given(st.binary(max_size=200))
def test_any_bytes_are_a_state_or_a_protocol_error(raw: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError):
        read_content(raw)


@given(place=st.integers(0, len(encode(STATE)) - 1), flip=st.integers(1, 255))
def test_one_changed_byte_gives_a_state_or_a_protocol_error(place: int, flip: int) -> None:
    raw = bytearray(encode(STATE))
    raw[place] ^= flip
    with contextlib.suppress(RemoteProtocolError):
        read_content(bytes(raw))
