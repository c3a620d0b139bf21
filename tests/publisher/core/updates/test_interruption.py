# SPDX-License-Identifier: Apache-2.0
"""How long a stop lasts: told from a start that was seen whole, else not at all."""

import pytest

from trustedpods.protocol.messages.pod import PodEvent
from trustedpods.provider.core.lifecycle import LifecycleEvent
from trustedpods.publisher.core.updates.interruption import BEGINS, ENDS, interruption_text, last_start_s


def history(*events: tuple[int, str]) -> list[PodEvent]:
    return [PodEvent(at=at, reason=reason, text="") for at, reason in events]


@pytest.mark.parametrize(
    ("events", "seconds"),
    [
        ((), None),
        (((10, "started"),), None),
        (((10, "imported"),), None),
        (((10, "bundle"), (11, "imported"), (15, "started")), 4),
        (((11, "imported"), (15, "started"), (20, "parked"), (30, "started")), 4),
        (((11, "imported"), (15, "started"), (60, "imported"), (61, "started")), 1),
        (((11, "imported"), (15, "started"), (60, "imported"), (70, "failed")), 4),
        (((11, "imported"), (12, "replica-ended"), (15, "started")), 4),
        (((15, "imported"), (11, "started")), 0),
    ],
)
def test_the_last_start_that_was_seen_whole(events: tuple[tuple[int, str], ...], seconds: int | None) -> None:
    assert last_start_s(history(*events)) == seconds


def test_it_is_said_in_whole_seconds_or_not_at_all() -> None:
    assert not interruption_text(history((15, "started")))
    told = interruption_text(history((11, "imported"), (11, "started")))
    assert told == "; about 1 s without an answer, as its last start took"


def test_the_words_are_those_of_a_provider() -> None:
    assert [BEGINS, ENDS] == [LifecycleEvent.IMPORTED, LifecycleEvent.STARTED]
