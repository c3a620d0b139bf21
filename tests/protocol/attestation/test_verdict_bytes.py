# SPDX-License-Identifier: Apache-2.0
"""Whatever a peer sends as evidence ends in a refusal with a known name, never in another exception."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import FEW, some
from tests.protocol.attestation.evidence import flipped
from tests.protocol.attestation.test_verdict import answer, rule_of
from trustedpods.protocol.attestation.checks import Check
from trustedpods.protocol.evidence import Evidence

MASKS = (0x01, 0x10, 0x80)


def offsets(mask: int, length: int) -> Sequence[int]:
    """Every byte; where few examples are drawn, the masks share some of them out."""
    return some(range(MASKS.index(mask), length, len(MASKS)) if FEW else range(length))


class TestHostileBytes:
    GOOD = answer()

    def check(self, evidence: Evidence) -> None:
        assert rule_of(self.GOOD.model_copy(update={"evidence": evidence})) in set(Check)

    @given(report=st.binary(max_size=3000), certificate=st.binary(max_size=3000), crl=st.binary(max_size=99))
    def test_random(self, report, certificate, crl):
        self.check(Evidence(kind="sev-snp", report=report, certificates=[certificate], collateral=crl))

    @pytest.mark.parametrize("mask", MASKS)
    def test_a_flipped_bit_anywhere(self, mask):
        evidence = self.GOOD.evidence
        for offset in offsets(mask, len(evidence.report)):
            self.check(evidence.model_copy(update={"report": flipped(evidence.report, offset, mask)}))
        raw = evidence.certificates[0]
        unused_bits = len(raw) - 257  # how many bits of the signature's last byte are none: it may say one
        for offset in offsets(mask, len(raw)):
            if offset == unused_bits:
                continue
            self.check(evidence.model_copy(update={"certificates": [flipped(raw, offset, mask)]}))

    @given(st.data())
    def test_a_certificate_cut_or_grown(self, data):
        evidence = self.GOOD.evidence
        raw = evidence.certificates[0]
        cut = raw[: data.draw(st.integers(0, len(raw) - 1))]
        self.check(evidence.model_copy(update={"certificates": [cut]}))
        grown = raw + data.draw(st.binary(min_size=1, max_size=64))
        self.check(evidence.model_copy(update={"certificates": [grown]}))
