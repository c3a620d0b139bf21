# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.contracts.strategies import least, prices
from trustedpods.contracts.eip712 import address_of
from trustedpods.contracts.registry_rows import (
    RegistryRow,
    decode_page,
    endpoint_bytes,
    entry,
    pack_offer,
    unpack_offer,
)
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.messages.provider import LeastTerms, Prices

PEER = "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"
ROW = RegistryRow(
    owner=address_of(b"\1" * 32),
    daemon=2**32 - 1,
    updated_at=0,
    trust="sealed",
    region="eu-west",
    tee=["sev-snp", "tdx"],
    chip_digest=b"c" * 32,
    token=address_of(b"\2" * 32),
    prices=Prices(cpu_core_ms=1, memory_mib_s=2, storage_mib_s=3, egress_kib=4, ingress_kib=5, scale=90),
    least=LeastTerms(deposit=5 * 10**18, unlock_s=3600, idle_mib=64),
    profile_digest=b"p" * 32,
    endpoint=f"/ip4/10.128.0.11/tcp/4001/p2p/{PEER}",
)


@given(prices, least)
def test_offers_survive_packing(price, terms):
    assert unpack_offer(pack_offer(price, terms)) == (price, terms)


def test_what_an_offer_cannot_hold_is_refused_not_rounded():
    with pytest.raises(BadInput, match="significant digits"):
        pack_offer(ROW.prices, LeastTerms(deposit=2**40 + 1, unlock_s=60, idle_mib=0))
    with pytest.raises(BadInput, match="whole number of minutes"):
        pack_offer(ROW.prices, LeastTerms(deposit=1, unlock_s=61, idle_mib=0))
    with pytest.raises(BadInput):
        unpack_offer(61 << 248)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"region": "a-region-too-long"}, "region"),
        ({"tee": ["sgx"]}, "'sgx'"),
        ({"endpoint": "nowhere"}, "multiaddr"),
        ({"endpoint": "/dns4/" + "a." * 65 + "a/tcp/1"}, "does not fit"),
    ],
)
def test_rows_that_do_not_fit_are_refused(change, words):
    with pytest.raises(BadInput, match=words):
        entry(replace(ROW, **change))


def raw_row(row, endpoint=None):
    """A row as `pageRaw` returns it."""
    trust, tee, region, token, offer, chip, profile, encoded = entry(row)
    head = tee << 232 | trust << 224 | row.updated_at << 192 | row.daemon << 160 | int(row.owner, 16)
    encoded = encoded if endpoint is None else endpoint
    static = head.to_bytes(32, "big") + region + bytes.fromhex(token[2:]) + offer.to_bytes(32, "big")
    padded = encoded.ljust(-(-len(encoded) // 32) * 32, b"\0")
    return static + chip + profile + len(encoded).to_bytes(32, "big") + padded


def test_pages_hold_rows():
    other = replace(ROW, daemon=1, trust="open", tee=[], region="", endpoint="/ip4/1.2.3.4/tcp/5")
    assert decode_page(raw_row(ROW) + raw_row(other)) == [ROW, other]
    assert decode_page(b"") == []


def test_rows_that_make_no_sense_are_left_out():
    mad = bytearray(raw_row(ROW))
    mad[3] = 9  # a class that there is not
    assert decode_page(bytes(mad) + raw_row(ROW)) == [ROW]


@given(st.binary(max_size=128))
def test_any_endpoint_bytes_leave_the_row_readable(endpoint):
    (row,) = decode_page(raw_row(ROW, endpoint))
    assert replace(row, endpoint=ROW.endpoint) == ROW
    assert row.endpoint == "" or endpoint_bytes(row.endpoint)


@given(st.binary(max_size=1000))
def test_garbage_is_no_rows_and_no_crash(raw):
    decode_page(raw)
