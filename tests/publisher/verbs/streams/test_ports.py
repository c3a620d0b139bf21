# SPDX-License-Identifier: Apache-2.0
"""`[LOCAL:]PORT` as people write it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.messages.forward import MAX_PORTS
from trustedpods.publisher.verbs.streams.ports import PortPair, parse_ports

PORTS = st.integers(1, 65535)


def test_the_three_ways():
    pairs = parse_ports(["8080", "5433:5432", ":5432"])
    assert pairs == (PortPair(8080, 8080), PortPair(5433, 5432), PortPair(0, 5432))


@given(PORTS, PORTS)
def test_any_pair_reads_back(local, port):
    assert parse_ports([f"{local}:{port}"]) == (PortPair(local, port),)


@given(st.text(max_size=12))
def test_any_text_is_a_pair_or_bad_input(text):
    try:
        [pair] = parse_ports([text])
    except BadInput:
        return
    assert 0 < pair.port <= 65535
    assert 0 <= pair.local <= 65535


@pytest.mark.parametrize(
    "texts",
    [
        [],
        ["0"],
        ["65536"],
        ["70000:80"],
        ["http"],
        ["1:2:3"],
        ["-1"],
        ["8080", "8080"],
        [":1"] * (MAX_PORTS + 1),
    ],
    ids=repr,
)
def test_what_is_no_port(texts):
    with pytest.raises(BadInput):
        parse_ports(texts)
