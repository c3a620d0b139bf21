# SPDX-License-Identifier: Apache-2.0
"""When a deploy goes on with another provider: each failure, and each state of the deposit."""

import pytest

from trustedpods.protocol.errors import (
    BadInput,
    EvidenceRefused,
    InsufficientFunds,
    Locked,
    NetworkFailure,
    Refused,
    RemoteProtocolError,
    StoreFailure,
)
from trustedpods.publisher.core.channels.fallback import another_may_take, is_left

FAILURES = [
    (NetworkFailure("it went away"), True),
    (RemoteProtocolError("nonsense", rule="no-statement"), True),
    (StoreFailure("its disk is full", rule="disk"), True),
    (EvidenceRefused("another machine", rule="chip-digest"), True),
    (Refused("no room", rule="capacity-memory"), True),
    (Refused("too many of that user", rule="capacity-users"), False),
    (Refused("it empties itself", rule="draining"), True),
    (Refused("not you", rule="denied"), True),
    (Refused("exit code 1", rule="start"), False),
    (Refused("mine came first", rule="generation"), False),
    (Refused("Kubernetes said so", rule="Forbidden"), False),
    (Refused("for no reason"), False),
    (InsufficientFunds("too little", rule="token"), False),
    (Locked("a newer deploy won", rule="newer"), False),
    (BadInput("a file changed"), False),
]


@pytest.mark.parametrize(("error", "goes_on"), FAILURES, ids=lambda one: getattr(one, "rule", None))
def test_only_what_another_provider_may_do_better_is_tried_there(error, goes_on):
    assert another_may_take(error) is goes_on


@pytest.mark.parametrize(
    ("state", "sent", "left"),
    [
        ("unlocking", True, True),
        ("released", True, True),
        ("closed", True, True),
        ("untouched", False, True),
        ("untouched", True, False),  # its transaction may be mined still
        ("open", True, False),
        ("open", False, False),
        ("unknown", True, False),
        ("unknown", False, False),
        (None, False, False),
        (None, True, False),
    ],
)
def test_a_provider_is_left_only_where_nothing_is_paid_there(state, sent, left):
    assert is_left(state, sent=sent) is left
