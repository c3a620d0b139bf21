# SPDX-License-Identifier: Apache-2.0
"""Exports: what their owner signed comes back whole, and nothing else is taken for his word."""

import contextlib
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.protocol.networks.owners.documents import CARRIED, export, node, port
from tests.protocol.networks.team import BOB, MALLORY
from trustedpods.protocol.codec import encode
from trustedpods.protocol.errors import BadInput, Refused, RemoteProtocolError
from trustedpods.protocol.networks.owners.exports import (
    MAX_WHOLE_EXPORT,
    CarriedFile,
    ExportedNode,
    ExportedPort,
    NetworkExport,
    read_export,
)

WHOLE = export(files=CARRIED)
DATA = encode(WHOLE)


def test_an_export_comes_back_and_its_files_need_no_signature() -> None:
    assert read_export(DATA) == WHOLE
    assert read_export(encode(WHOLE.without_files)).nodes == WHOLE.nodes
    entry = WHOLE.nodes[0].ports[0].entry("acme-one", b"")
    assert (entry.node, entry.published, entry.address) == ("acme-one", 31000, "203.0.113.7")


@pytest.mark.parametrize(
    "changed",
    [
        {"nodes": [node(published=31001)]},
        {"generation": 4},
        {"epoch": 8},
        {"name": "rung"},
        {"to": BOB.card.member},
        {"word": "answers", "about": bytes(32)},
        {"word": "leaves", "nodes": []},
        {"owner": MALLORY.card.member},
        {"founder": MALLORY.card.member},
        {"shared": [], "files": []},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_what_was_changed_afterwards_is_refused(changed: dict[str, object]) -> None:
    forged = NetworkExport.model_validate(WHOLE.model_dump() | changed)
    with pytest.raises(Refused) as caught:
        read_export(encode(forged))
    assert caught.value.rule == "export"


@pytest.mark.parametrize(
    "file", [CarriedFile(name="genesis.json", data=b"{}"), CarriedFile(name="ca", data=b"")]
)
def test_a_file_is_the_one_that_was_signed(file: CarriedFile) -> None:
    with pytest.raises(Refused, match="is not the one"):
        read_export(encode(WHOLE.model_copy(update={"files": [file]})))
    assert hashlib.sha256(CARRIED[0].data).digest() == WHOLE.shared[0].sha256


@given(place=st.integers(0, len(DATA) - 1), flip=st.integers(1, 255))
def test_one_changed_byte_is_refused(place: int, flip: int) -> None:
    raw = bytearray(DATA)
    raw[place] ^= flip
    with pytest.raises((Refused, RemoteProtocolError)):
        read_export(bytes(raw))


@given(st.binary(max_size=200))
def test_any_bytes_are_an_export_or_a_protocol_error(raw: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError):
        read_export(raw)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"nodes": [node("b"), node("a")]}, "in order"),
        ({"nodes": [node("a"), node("a")]}, "each once"),
        ({"word": "leaves"}, "names no nodes"),
        ({"word": "answers"}, "about an invitation"),
        ({"about": bytes(32)}, "about an invitation"),
    ],
)
def test_an_export_holds_together(fields: dict[str, object], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        export(**fields)


def test_what_cannot_stand_in_a_book_is_no_port() -> None:
    wrong = port().model_copy(update={"url": "tcp://203.0.113.7:1\nroot"})
    with pytest.raises(ValidationError):
        ExportedNode(name="one", ports=[wrong])


def test_what_is_too_large_is_neither_signed_nor_read() -> None:
    with pytest.raises(RemoteProtocolError, match="over"):
        read_export(bytes(MAX_WHOLE_EXPORT + 1))
    many = [
        ExportedNode(name=f"n{number:02}", ports=[port(at) for at in range(10, 26)]) for number in range(60)
    ]
    with pytest.raises(BadInput, match="more than"):
        export(nodes=many)


@pytest.mark.parametrize(
    "fields",
    [
        {"address": "169.254.169.254"},
        {"address": "127.0.0.1"},
        {"address": "0.0.0.0"},
        {"address": "224.0.0.1"},
        {"published": 25},
    ],
    ids=["link-local", "loopback", "none", "multicast", "mail"],
)
def test_a_line_that_no_provider_opens_is_none(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ExportedPort.model_validate(port().model_dump() | fields)


def test_services_of_one_node_have_ports_of_their_own() -> None:
    second = port().model_copy(update={"service": "rpc"})
    with pytest.raises(ValidationError, match="same port"):
        ExportedNode(name="one", ports=[port(), second])
