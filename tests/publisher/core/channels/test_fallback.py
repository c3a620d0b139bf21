# SPDX-License-Identifier: Apache-2.0
"""When a deploy goes on with another provider: each failure, and each state of the deposit."""

from dataclasses import replace

import pytest

from trustedpods.contracts.records import Channel
from trustedpods.contracts.terms import Terms
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
from trustedpods.protocol.messages.provider import Prices
from trustedpods.publisher.core.channels.fallback import another_may_take, as_opened, is_left

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


def test_a_channel_shows_that_somebody_used_it():
    prices = Prices(cpu_core_ms=1, memory_mib_s=1, storage_mib_s=1, egress_kib=1, ingress_kib=1, scale=0)
    terms = Terms(prices=prices, cap_mantissa=3, cap_exponent=1, unlock_minutes=60)
    opened = Channel(7, 1, 1_800_000_000, 1000, terms)
    assert as_opened(opened, 1000, terms)
    assert as_opened(replace(opened, unlock_at=1_800_003_600), 1000, terms)
    assert not as_opened(replace(opened, left=999), 1000, terms)  # claimed
    assert not as_opened(replace(opened, left=1001), 1000, terms)  # paid into
    assert not as_opened(replace(opened, terms=replace(terms, cap_exponent=2)), 1000, terms)
