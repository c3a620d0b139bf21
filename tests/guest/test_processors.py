# SPDX-License-Identifier: Apache-2.0
"""Shapes of machines: what can be computed, and the processors' numbers as the library has them."""

import pytest
from sevsnpmeasure import vcpu_types

from trustedpods.guest.processors import MAX_VCPUS, MODELS, MachineShape
from trustedpods.protocol.errors import BadInput


def test_the_numbers_are_the_librarys():
    assert {
        model: MachineShape(1, model).signature for model in MODELS
    }.items() <= vcpu_types.CPU_SIGS.items()
    assert MachineShape(1, "EPYC-v4").signature == 0x800F12


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ((0, "EPYC-v4"), "0 vCPUs"),
        ((MAX_VCPUS + 1, "EPYC-v4"), "513 vCPUs"),
        ((1, "host"), "unknown processor model 'host'"),
        ((1, "EPYC-v4", 0), "guest features 0x0"),
        ((1, "EPYC-v4", 3), "guest features 0x3"),
    ],
)
def test_what_cannot_be_computed_is_refused_by_name(values, why):
    with pytest.raises(BadInput, match=why):
        MachineShape(*values)
