# SPDX-License-Identifier: Apache-2.0
"""How a certificate stands at a moment: for `doctor`, the operator's screen, and alerts. Pure."""

from enum import StrEnum

from trustedpods.provider.core.certificates.types import RenewalState

DAY_S = 86400

ALARM_PART = 6
"""An alarm comes when a sixth of the life is left: half of the time since the renewal was due is gone then
(15 days of 90, a day of 6)."""


class CertificateOutlook(StrEnum):
    """What is to be expected of a certificate of an authority."""

    GOOD = "good"
    MISSING = "missing"
    """There is none yet; a self-made one is shown."""
    TROUBLED = "troubled"
    """The last try failed. There is time, and it is tried again."""
    ENDING = "ending"
    """The renewal is overdue: somebody must look."""
    ENDED = "ended"


ALARMS = frozenset({CertificateOutlook.ENDING, CertificateOutlook.ENDED})
"""Outlooks that do not get better by waiting."""


def outlook(state: RenewalState, now: int) -> CertificateOutlook:
    """How things stand at *now* (Unix seconds)."""
    held = state.held
    if held is None:
        return CertificateOutlook.MISSING
    left = held.not_after - now
    if left <= 0:
        return CertificateOutlook.ENDED
    if left * ALARM_PART <= held.not_after - held.not_before:
        return CertificateOutlook.ENDING
    return CertificateOutlook.TROUBLED if state.failures else CertificateOutlook.GOOD


def days_left(not_after: int, now: int) -> int:
    """Whole days until the end; negative once it is past."""
    return (not_after - now) // DAY_S
