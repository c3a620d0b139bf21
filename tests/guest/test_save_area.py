# SPDX-License-Identifier: Apache-2.0
"""The page of registers, field by field; the library's page for the same processor is equal."""

import struct

import pytest
from sevsnpmeasure.sev_mode import SevMode
from sevsnpmeasure.vmsa import VMSA

from trustedpods.guest.firmware import PAGE
from trustedpods.guest.processors import MODELS, MachineShape
from trustedpods.guest.save_area import FIRST_ADDRESS, save_area


@pytest.mark.parametrize("model", MODELS)
def test_the_librarys_pages(model):
    signature = MachineShape(1, model).signature
    first, second = VMSA(SevMode.SEV_SNP, 0x80B004, signature, 0x21).pages(2)
    assert save_area(FIRST_ADDRESS, signature, 0x21) == first
    assert save_area(0x80B004, signature, 0x21) == second


def test_where_a_processor_starts():
    page = save_area(0x80B004, 0x800F12, 1)
    assert len(page) == PAGE
    assert struct.unpack_from("<Q", page, 0x18) == (0x800000,)
    assert struct.unpack_from("<Q", page, 0x178) == (0xB004,)
    assert struct.unpack_from("<Q", page, 0x310) == (0x800F12,)
