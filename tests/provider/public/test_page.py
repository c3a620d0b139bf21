# SPDX-License-Identifier: Apache-2.0
"""The public page and its JSON as text: escaped, bounded, without requests, and verifiable."""

import base64
import json
import re

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.provider.public.profiles import profile
from trustedpods.contracts.records import TokenInfo
from trustedpods.protocol.codec import encode
from trustedpods.protocol.messages.provider import SignedFigures
from trustedpods.protocol.sealing.replies import sign_figures, verify_figures
from trustedpods.provider.public.figures import ServiceSums, figures_of
from trustedpods.provider.public.page import MAX_BYTES, PRICED, page_html, page_json

KEY = Ed25519PrivateKey.from_private_bytes(b"\x05" * 32)
REPLY_KEY = KEY.public_key().public_bytes_raw()
TOKEN = TokenInfo("TEST", 6)
SUMS = ServiceSums(90_000, 89_999, 10, 9000, (0, 0, 5, 5, 5, 5, 9, 10, 10, 10, 10, 10, 10, 10, 10))


def figures(sums=SUMS, **changed):
    return figures_of(encode(profile(**changed)), sums, 1_790_000_000, tcp=True)


def shown(**given):
    return page_html(figures(**given), TOKEN).decode()


def test_the_page_says_who_what_it_costs_and_how_it_served():
    page = shown()
    for text in (
        "k1.example.org", "eu-west", f"0x{'11' * 20}/2", "the pods that run here", "TEST", "expose: http",
        "99.9 % of 1 d", "0.3 s", "0.8 s", "2026-09-21 14:13 UTC", "own word",
    ):  # fmt: skip
        assert text in page, text
    assert "base units" in page_html(figures(), None).decode()


def test_nothing_measured_and_nothing_woken_is_said():
    assert "not measured yet" in shown(sums=ServiceSums())
    assert "there was none" in shown(sums=ServiceSums(10, 10))
    assert "more than a minute" in shown(sums=ServiceSums(10, 10, 1, 70_000))


def test_an_open_provider_and_a_simulated_one_are_called_so():
    assert "open: whoever runs this provider can read" in shown(trust="open")
    sealed = shown(trust="sealed", simulated=True)
    assert "sealed: " in sealed
    assert "SIMULATED" in sealed


def test_what_a_provider_or_a_token_calls_itself_is_text():
    page = page_html(
        figures(region='<script>alert("1")</script>', domain='"><img src=x>'),
        TokenInfo("<b>" * 100, 6),
    ).decode()
    assert "<script" not in page
    assert "<img" not in page
    assert "<b>" not in page


def test_nothing_is_loaded_and_nothing_runs():
    page = shown()
    assert set(re.findall(r'(?:href|src)="([^"]*)"', page)) == {"data:,", "/provider.json"}
    assert not re.search(r"<script|\son\w+=|url\(|@import", page)


@pytest.mark.parametrize("letter", ["a", "<"])
def test_the_largest_of_either_fits_a_line_of_the_proxy_or_is_left_out_by_the_bound(letter):
    names = [f"{number}{'a' * 62}" for number in range(16)]
    has = profile().capabilities.model_copy(update={"csi_drivers": names, "ingress_classes": []})
    of = figures(capabilities=has, region=letter * 63, domain="d" * 253)
    page, told = page_html(of, TOKEN), page_json(of, sign_figures(KEY, of), REPLY_KEY)
    assert max(len(page), len(told)) <= MAX_BYTES
    assert len(base64.b64encode(bytes(MAX_BYTES))) + 600 < 16 * 1024


def test_the_json_says_what_is_signed_and_a_reader_can_verify_it():
    of = figures()
    found = json.loads(page_json(of, sign_figures(KEY, of), REPLY_KEY))
    signed = SignedFigures(
        figures=base64.b64decode(found["signed"]), signature=bytes.fromhex(found["signature"])
    )
    verified = verify_figures(signed, bytes.fromhex(found["reply_key"]))
    assert verified == of
    told = found["figures"]
    same = ("region", "domain", "at", "counted_s", "up_s", "cold_starts", "half_within_ms", "capabilities")
    assert {name: told[name] for name in same} == {name: getattr(verified, name) for name in same}
    assert set(told["prices"]) == set(PRICED)
    assert all(price.isdigit() for price in told["prices"].values())
