# SPDX-License-Identifier: Apache-2.0
"""Places where programs listen: what is read of an agent, and what a person reads of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.provider.cluster.freezer.listening import (
    MAX_LISTENERS,
    Listener,
    listening_words,
    parse_listeners,
)


@given(st.lists(st.tuples(st.ip_addresses(), st.integers(1, 65535)), max_size=MAX_LISTENERS))
def test_every_place_is_read(places) -> None:
    told = [f"[{ip}]:{port}" if ip.version == 6 else f"{ip}:{port}" for ip, port in places]
    found = parse_listeners(told)
    assert list(found) == sorted({Listener(port, ip.is_loopback) for ip, port in places})


@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_anything_else_is_refused(told) -> None:
    try:
        found = parse_listeners(told)
    except ValueError:
        return
    assert isinstance(told, list)
    assert len(found) <= len(told)


@pytest.mark.parametrize(
    "told",
    [["1.2.3.4"], ["1.2.3.4:0"], ["1.2.3.4:65536"], ["1.2.3.4:٣"], [":80"], ["1.2.3.4:1"] * 33, ["0" * 99]],
)
def test_what_is_no_place(told: list[str]) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_listeners(told)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ([], "its programs listen on no port"),
        (["0.0.0.0:9999"], "its programs listen on port 9999"),
        (["[::]:9999", "0.0.0.0:80", "127.0.0.1:80"], "its programs listen on ports 80, 9999"),
        (
            ["0.0.0.0:80", "127.0.0.1:8080"],
            "its programs listen on port 80, "
            "and on port 8080 of its own 127.0.0.1, where nobody else reaches it",
        ),
        (["[::1]:1"], "its programs listen on port 1 of its own 127.0.0.1, where nobody else reaches it"),
    ],
)
def test_words(told: list[str], words: str) -> None:
    assert listening_words(parse_listeners(told)) == words
