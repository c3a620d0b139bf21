# SPDX-License-Identifier: Apache-2.0
"""Policies that take their measurements from a release file, and what they then accept and say."""

import pytest

from tests.protocol.attestation.policy.test_file import HEAD, LOCALNET, SNP, TDX, WHOLE
from tests.protocol.attestation.releases.signed import TCB, image, release, shape, withdrawn
from trustedpods.protocol.attestation.policy.file import parse_policy
from trustedpods.protocol.attestation.snp.report import Tcb
from trustedpods.protocol.errors import BadInput

TDX_SHAPES = [
    {"page_order": "page-by-page", "mrtd": "a1" * 48, "rtmr1": "b1" * 48, "rtmr2": "c1" * 48},
    {"page_order": "section-by-section", "mrtd": "a2" * 48, "rtmr1": "b1" * 48, "rtmr2": "c1" * 48},
]
HELD = release(
    images=[
        image("0.2.0", [shape("11"), shape("12", 4)], TDX_SHAPES),
        image("0.3.0", [shape("21")], withdrawn=withdrawn()),
        image("0.4.0", [shape("31")], least_snp={"Genoa": TCB | {"bl": 9, "snp": 30}}),
        image("0.5.0", [shape("41")], least_snp={"Milan": TCB}),
    ]
)
RELEASED_SNP = SNP.replace(f'["{"11" * 48}"]', '"release"')
RELEASED_TDX = TDX.replace(f'["{"22" * 48}"]', '"release"').replace(
    f'["{"33" * 48}", "{"44" * 48}", "{"55" * 48}", ', '["any", "release", "release", '
)
MINIMUM = "min_release = 7\n"
RELEASED = HEAD + MINIMUM + RELEASED_SNP + RELEASED_TDX + LOCALNET


class Fixed:
    """A release file that is there, and what it was asked for."""

    def __init__(self) -> None:
        self.asked = []

    def demanded(self, least):
        self.asked.append(least)
        return HELD

    def for_names(self):
        self.asked.append("names")
        return HELD


def test_every_image_that_is_not_withdrawn_becomes_an_entry():
    releases = Fixed()
    policy = parse_policy(RELEASED, "p", releases)
    assert releases.asked == [7]
    assert policy.release is HELD
    newest, older = policy.snp  # Genoa: 0.5.0 does not say what firmware it may run on there
    assert (newest.image, newest.measurements) == ("image 0.4.0", {b"\x31" * 48})
    assert (older.image, older.measurements) == ("image 0.2.0", {b"\x11" * 48, b"\x12" * 48})
    assert newest.minimum == Tcb(bootloader=10, snp=30, microcode=84)  # the higher of the two, part by part
    assert older.minimum == Tcb(bootloader=10, snp=23, microcode=84)


def test_registers_of_a_trust_domain_come_together():
    first, second = parse_policy(RELEASED, "p", Fixed()).tdx
    assert (first.mrtd, second.mrtd) == ({b"\xa1" * 48}, {b"\xa2" * 48})
    assert first.rtmr == (None, b"\xb1" * 48, b"\xc1" * 48, None)
    assert first.image == "image 0.2.0"
    fixed = RELEASED.replace('"any", "release", "release"', f'"{"99" * 48}", "release", "release"')
    assert parse_policy(fixed, "p", Fixed()).tdx[0].rtmr[0] == b"\x99" * 48


def test_a_policy_of_its_own_lists_asks_for_names_only():
    releases = Fixed()
    policy = parse_policy(WHOLE, "p", releases)
    assert releases.asked == ["names"]
    assert (policy.release, policy.snp[0].measurements) == (HELD, {b"\x11" * 48})


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (MINIMUM, "", "min_release is there exactly where"),
        (MINIMUM, "min_release = 0\n", "greater than or equal to 1"),
        ('measurements = "release"', 'measurements = "any"', "measurements"),
        ('"any", "release", "release"', f'"any", "{"44" * 48}", "release"', "rtmr is"),
        ('"any", "release", "release"', '"release", "release", "release"', "rtmr is"),
        ('"any", "release", "release"', '"eventlog", "release", "release"', "rtmr is"),
        ('"release", "eventlog"', '"release", "any"', "RTMR3 is 96 hex"),
        ('mrtd = "release"', f'mrtd = ["{"22" * 48}"]', 'only with mrtd = "release"'),
    ],
)
def test_what_does_not_fit_together(old, new, why):
    assert RELEASED.count(old) == 1
    with pytest.raises(BadInput, match=why):
        parse_policy(RELEASED.replace(old, new), "p", Fixed())


def test_a_minimum_without_a_release_is_an_error():
    with pytest.raises(BadInput, match="min_release is there exactly where"):
        parse_policy(MINIMUM + WHOLE, "p", Fixed())


def test_where_no_release_can_be_had():
    with pytest.raises(BadInput, match="no release file can be had here") as error:
        parse_policy(RELEASED, "p")
    assert error.value.where == "p:6"
