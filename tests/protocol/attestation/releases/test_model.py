# SPDX-License-Identifier: Apache-2.0
"""What a release file must say of its images."""

import pytest
from pydantic import ValidationError

from tests.protocol.attestation.releases.signed import TCB, image, release, shape, withdrawn

TDX = [{"page_order": "page-by-page", "mrtd": "aa" * 48, "rtmr1": "bb" * 48, "rtmr2": "cc" * 48}]


def test_withdrawn_images_are_not_trusted_and_the_newest_comes_first():
    held = release(
        images=[
            image("0.2.0", [shape("11")]),
            image("0.9.0", [shape("22")], withdrawn=withdrawn()),
            image("0.10.0", [shape("33")]),
        ]
    )
    assert [one.version for one in held.trusted_images] == ["0.10.0", "0.2.0"]


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (image(snp=[]), "without a measurement"),
        (image(least_snp={}), "least firmware"),
        (image(tdx=TDX, least_tdx=None), "least firmware"),
        (image(least_tdx="00" * 16), "least firmware"),
        (image(least_snp={"Turin": TCB}), "fmc"),
        (image(least_snp={"Genoa": TCB | {"fmc": 1}}), "fmc"),
        (image(least_snp={"Rome": TCB}), "least_snp"),
        (image(artefacts={}), "artefacts"),
        (image(artefacts={"../x": "aa" * 32}), "artefacts"),
        (image(snp=[shape(vcpus=0)]), "vcpus"),
    ],
)
def test_images_that_say_too_little(wrong, why):
    with pytest.raises(ValidationError, match=why):
        release(images=[wrong])


def test_two_images_have_no_measurement_in_common():
    """One that is withdrawn would be trusted by the other's name."""
    old = {"snp": [], "tdx": TDX, "withdrawn": withdrawn()}
    with pytest.raises(ValidationError, match="same TDX registers"):
        release(images=[image("0.1.0", **old), image("0.2.0", [shape()], TDX)])
    with pytest.raises(ValidationError, match="one launch digest"):
        release(images=[image("0.1.0"), image("0.2.0")])


def test_a_platform_may_be_left_out():
    only_tdx = image(snp=[], tdx=TDX)
    assert release(images=[only_tdx]).images[0].least_snp == {}
