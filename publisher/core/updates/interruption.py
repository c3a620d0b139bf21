# SPDX-License-Identifier: Apache-2.0
"""How long an update that stops first keeps a pod away: as its last start took, where that is known."""

from collections.abc import Iterable

from trustedpods.protocol.messages.pod import PodEvent

BEGINS, ENDS = "imported", "started"
"""What a provider's history calls the two ends of a start: images are there, and the version has served."""


def last_start_s(events: Iterable[PodEvent]) -> int | None:
    """Seconds that the last start took which a provider's history has whole; None where it has none.

    Of an update that includes the end of the version before. Both times are the provider's own.
    """
    begun, took = None, None
    for event in events:
        if event.reason == BEGINS:
            begun = event.at
        elif event.reason == ENDS and begun is not None:
            took, begun = max(0, event.at - begun), None
    return took


def interruption_text(events: Iterable[PodEvent]) -> str:
    """What is said of it, to stand within a sentence; empty where nobody knows."""
    took = last_start_s(events)
    return "" if took is None else f"; about {max(1, took)} s without an answer, as its last start took"
