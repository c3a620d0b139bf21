# SPDX-License-Identifier: Apache-2.0
import pytest

from trustedpods.provider.core.certificates.outlook import (
    ALARMS,
    DAY_S,
    CertificateOutlook,
    days_left,
    outlook,
)
from trustedpods.provider.core.certificates.renewal import renewal_due
from trustedpods.provider.core.certificates.types import HeldCertificate, RenewalState

HELD = HeldCertificate(("a.example",), 0, 90 * DAY_S)


@pytest.mark.parametrize(
    ("day", "failures", "expected"),
    [
        (1, 0, CertificateOutlook.GOOD),
        (61, 0, CertificateOutlook.GOOD),
        (61, 1, CertificateOutlook.TROUBLED),
        (75, 0, CertificateOutlook.ENDING),
        (75, 3, CertificateOutlook.ENDING),
        (90, 3, CertificateOutlook.ENDED),
        (900, 0, CertificateOutlook.ENDED),
    ],
)
def test_the_end_is_told_before_it_comes(day, failures, expected):
    assert outlook(RenewalState(HELD, failures=failures), day * DAY_S) is expected


def test_without_a_certificate_it_is_missing():
    assert outlook(RenewalState(), 0) is CertificateOutlook.MISSING


def test_the_alarm_comes_after_the_renewal_was_due_and_before_the_end():
    alarmed = next(day for day in range(90) if outlook(RenewalState(HELD), day * DAY_S) in ALARMS)
    assert renewal_due(HELD) // DAY_S < alarmed < 90


def test_days_are_whole_and_negative_past_the_end():
    assert days_left(10 * DAY_S, 0) == 10
    assert days_left(10 * DAY_S, 1) == 9
    assert days_left(0, 1) == -1
