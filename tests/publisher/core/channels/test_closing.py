# SPDX-License-Identifier: Apache-2.0
"""When `watch` may close a channel: a row for each way in which a notice can stand."""

import pytest

from trustedpods.contracts.records import Channel
from trustedpods.contracts.terms import Terms
from trustedpods.protocol.messages.provider import Prices
from trustedpods.publisher.core.channels.closing import NOTICE_WITHIN_S, closing, notice_began

UNLOCK_S = 3600
BEGAN = 1_800_000_000
OVER = BEGAN + UNLOCK_S
PRICES = Prices(cpu_core_ms=1, memory_mib_s=1, storage_mib_s=1, egress_kib=1, ingress_kib=1, scale=0)


def channel(unlock_at):
    terms = Terms(prices=PRICES, cap_mantissa=1, cap_exponent=0, unlock_minutes=UNLOCK_S // 60)
    return Channel(7, 1, BEGAN - 100, 1000, terms, unlock_at)


ROWS = [
    # unlock_at, intended, now, what is done
    (0, None, OVER, "none"),
    (0, BEGAN, OVER, "none"),  # a deploy took it back
    (OVER, BEGAN, BEGAN, "wait"),
    (OVER, BEGAN, OVER - 1, "wait"),
    (OVER, None, OVER - 1, "wait"),
    (OVER, BEGAN, OVER, "close"),
    (OVER, BEGAN - 1, OVER, "close"),  # it was mined a second after it was meant
    (OVER, BEGAN - NOTICE_WITHIN_S, OVER, "close"),
    (OVER, BEGAN - NOTICE_WITHIN_S - 1, OVER, "others"),  # taken back since, and given anew by another
    (OVER, BEGAN + 1, OVER, "others"),  # it ran before this client meant one
    (OVER, None, OVER, "others"),  # perhaps to move the channel
    (OVER, None, OVER + 10**6, "others"),
    (OVER, BEGAN, OVER + 10**6, "close"),
]


@pytest.mark.parametrize(("unlock_at", "intended", "now", "done"), ROWS)
def test_only_what_was_meant_to_close_is_closed_and_only_when_it_is_over(unlock_at, intended, now, done):
    assert closing(channel(unlock_at), intended, now) == done


def test_a_notice_begins_its_length_before_it_is_over():
    assert notice_began(channel(OVER)) == BEGAN
