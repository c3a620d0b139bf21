# SPDX-License-Identifier: Apache-2.0
"""Python against the frozen numbers; contracts/test/Vectors.t.sol holds Solidity against the same."""

import json

from tests.contracts.make_vectors import FILE, vectors


def test_nothing_that_is_signed_or_paid_has_changed():
    assert json.loads(FILE.read_text()) == vectors()
