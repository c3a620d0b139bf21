# SPDX-License-Identifier: Apache-2.0
"""What a node is given of an address book: one form, bounded, nothing that could end a line of a file."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.protocol.networks.books import a_book, entry
from trustedpods.protocol.codec import decode, encode
from trustedpods.protocol.errors import RemoteProtocolError
from trustedpods.protocol.networks.book import BookEntry, NetworkBook


def test_a_book_travels_and_says_who_is_called():
    book = a_book(entry("b"), entry("b", "web", 8081, address=""), entry("c", transport="UDP"))
    assert decode(encode(book), NetworkBook) == book
    assert book.nodes == ["b", "c"]
    assert [one.port for one in book.of("b")] == [8080, 8081]
    assert book.name_of("b") == "b.shop.internal"


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        ([entry("c"), entry("b")], "in order"),
        ([entry(), entry()], "each once"),
        ([entry(service="api"), entry(service="web")], "the same port"),
        ([entry("a")], "calls itself"),
    ],
)
def test_a_book_that_does_not_hold_together_is_none(entries, why):
    with pytest.raises(ValidationError, match=why):
        NetworkBook(network="shop", node="a", generation=1, entries=entries)


@pytest.mark.parametrize(
    "wrong",
    [
        {"address": "192.0.2.7\n"},
        {"address": "two words"},
        {"address": ""},
        {"published": 0},
        {"published": 65536},
        {"url": 'tcp://x:1" evil = "1'},
        {"url": "tcp://x:1\nevil"},
        {"url": ""},
        {"port": 0},
        {"transport": "SCTP"},
        {"identity": b"x" * 129},
        {"node": "B"},
    ],
)
def test_an_entry_from_an_enemy_is_none(wrong):
    with pytest.raises(ValidationError):
        BookEntry.model_validate(entry().model_dump() | wrong)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_book_or_refused(data):
    try:
        decode(data, NetworkBook)
    except RemoteProtocolError:
        return
