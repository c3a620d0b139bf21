# SPDX-License-Identifier: Apache-2.0
"""Release files as bytes: verified, forged, or no release file at all."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.attestation.releases.signed import (
    PAIR,
    SECOND,
    STRANGER,
    image,
    release,
    shape,
    signed,
    withdrawn,
)
from trustedpods.protocol.attestation.releases.file import MAX_RELEASE, is_retired, read_release
from trustedpods.protocol.attestation.releases.model import TAG
from trustedpods.protocol.errors import BadInput, Refused

WHOLE = release(images=[image(), image("0.3.0", [shape("22")], withdrawn=withdrawn())])
RAW = signed(WHOLE)


def test_a_file_of_either_key_is_verified():
    assert read_release(RAW, "m.json", PAIR) == WHOLE
    assert read_release(signed(WHOLE, SECOND), "m.json", PAIR) == WHOLE
    assert read_release(signed(release(images=[])), "m.json", PAIR).images == []


def test_what_is_signed_is_plain_json_behind_a_tag():
    tree = json.loads(RAW)["release"]
    assert WHOLE.signed == TAG + json.dumps(tree, sort_keys=True, separators=(",", ":")).encode()


def test_a_file_of_nobodys_key_is_forged():
    with pytest.raises(Refused, match="no release key") as error:
        read_release(signed(WHOLE, STRANGER), "m.json", PAIR)
    assert (error.value.rule, error.value.where) == ("release-forged", "m.json")


def test_a_file_that_was_changed_is_forged():
    changed = RAW.replace(b"22" * 48, b"23" * 48)
    assert changed != RAW
    with pytest.raises(Refused, match="was changed after") as error:
        read_release(changed, "m.json", PAIR)
    assert error.value.rule == "release-forged"


def test_retired_is_what_a_retired_pair_has_validly_signed():
    changed = RAW.replace(b"22" * 48, b"23" * 48)
    assert is_retired(RAW, "m.json", [("aa" * 32, "bb" * 32), PAIR])
    assert not is_retired(changed, "m.json", [PAIR])
    assert not is_retired(signed(WHOLE, STRANGER), "m.json", [PAIR])
    assert not is_retired(RAW, "m.json", [])


def test_a_client_without_keys_believes_nobody():
    for pair in ((), PAIR[:1], (PAIR[0], PAIR[0])):
        with pytest.raises(Refused, match="knows no release keys") as error:
            read_release(RAW, "m.json", pair)
        assert error.value.rule == "release-keys"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b"[" * 100_000,
        RAW + b"\n",
        RAW.replace(b"\n ", b"\n  "),
        RAW.replace(b'"number": 1', b'"number": 1.0'),
        RAW.replace(b'"number": 1', b'"number": 2'),
        RAW.replace(b'"number": 1', b'"more": 1, "number": 1'),
        RAW.replace(b"2027-03-01", b"2027-02-30"),
        RAW.replace(b"2027-03-01", b"2026-03-01"),
        RAW.replace(b"22" * 48, b"11" * 48),
        RAW.replace(b"0.3.0", b"0.1.0"),
        RAW.replace(b"0.3.0", b"0.03.0"),
        RAW.replace(b"lets the host in", b"lets\\nin"),
    ],
)
def test_what_is_no_release_file(raw):
    with pytest.raises(BadInput, match="not a release file") as error:
        read_release(raw, "m.json", PAIR)
    assert error.value.where == "m.json"
    assert "\n" not in error.value.what


def test_a_file_too_long_to_be_one():
    with pytest.raises(BadInput, match="more than 1 MiB"):
        read_release(b" " * (MAX_RELEASE + 1), "m.json", PAIR)


@given(st.integers(0, len(RAW) - 1), st.integers(1, 255))
def test_no_changed_byte_is_believed(at, change):
    raw = bytearray(RAW)
    raw[at] ^= change
    with pytest.raises((BadInput, Refused)):
        read_release(bytes(raw), "m.json", PAIR)
