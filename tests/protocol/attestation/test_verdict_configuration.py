# SPDX-License-Identifier: Apache-2.0
"""What a machine's daemon runs with counts where the policy lists configurations."""

from dataclasses import replace

import pytest

from tests.protocol.attestation.evidence import BINDING
from tests.protocol.attestation.test_verdict import NO_HARDWARE, OPEN, POLICY, answer, bound, judge, rule_of
from trustedpods.protocol.errors import EvidenceRefused

LISTED = frozenset({BINDING.config_digest})


def test_one_that_is_listed_is_taken_and_told_among_the_checks():
    assert "config-digest" in judge(answer(), replace(POLICY, config_digests=LISTED)).checks
    assert "config-digest" not in judge(answer()).checks


def test_another_one_is_refused_by_its_digest():
    with pytest.raises(EvidenceRefused) as refused:
        judge(answer(bound(config_digest=b"x" * 32)), replace(POLICY, config_digests=LISTED))
    assert refused.value.rule == "config-digest"
    assert refused.value.what == (
        "the provider's configuration 7878787878787878... is not one that the policy lists"
    )


def test_without_hardware_it_counts_too():
    nothing = answer(bound(trust="open", config_digest=b"x" * 32), evidence=NO_HARDWARE)
    assert rule_of(nothing, replace(OPEN, config_digests=LISTED)) == "config-digest"
