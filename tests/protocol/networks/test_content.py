# SPDX-License-Identifier: Apache-2.0
"""A network's state: one form of bytes, commands that begin and end, and other schemas only read."""

import contextlib
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.protocol.networks.team import ALICE, AT, BOB, read, written
from trustedpods.protocol.codec import encode
from trustedpods.protocol.errors import LocalProtocolError, Refused, RemoteProtocolError
from trustedpods.protocol.networks.content import (
    AddressEntry,
    Component,
    NetworkCluster,
    NetworkContent,
    StateMetadata,
    begun,
    ended,
    read_content,
)
from trustedpods.protocol.networks.history import CHUNK, MAX_CHUNKS, HistoryRecord, SecretText, arguments
from trustedpods.protocol.networks.migrations import SCHEMA
from trustedpods.protocol.networks.sealed_documents import MAX_CONTENT

MARKER = "hunter2-marker"


def record(number: int = 1, result: str = "done") -> HistoryRecord:
    given_ = [("file", "ring.yaml"), ("token", SecretText(MARKER))]
    return HistoryRecord(
        at=AT + number,
        by=BOB.card.member,
        verb="network apply",
        arguments=arguments(given_),
        ended=AT + number,
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


def test_no_secret_stands_in_a_state() -> None:
    assert MARKER.encode() not in encode(STATE)


def begun_by_bob(state: NetworkContent, number: int) -> NetworkContent:
    return begun(state, AT + number, BOB.card.member, "network apply", arguments([]), number)


def test_a_command_begins_and_ends_and_a_killed_one_stays_unfinished() -> None:
    state = begun_by_bob(STATE, 2)
    assert [each.ended for each in state.history[0]] == [AT + 1, 0]
    assert read_content(encode(state)).content == state
    after = begun_by_bob(state, 3)
    after = ended(after, AT + 9, "done", 7)
    told = [(each.ended, each.result, each.generation) for each in after.history[0]]
    assert told == [(AT + 1, "done", 1), (0, "", 2), (AT + 9, "done", 7)]
    with pytest.raises(LocalProtocolError):
        ended(after, AT + 10, "done", 8)
    with pytest.raises(LocalProtocolError):
        ended(STATE.model_copy(update={"history": []}), AT, "done", 1)


def test_what_goes_from_a_full_history_is_counted() -> None:
    full = [[record(number) for number in range(CHUNK)]] * MAX_CHUNKS
    state = begun_by_bob(STATE.model_copy(update={"history": full}), 1)
    kept = sum(len(chunk) for chunk in state.history)
    assert state.dropped >= CHUNK
    assert kept + state.dropped == CHUNK * MAX_CHUNKS + 1


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
