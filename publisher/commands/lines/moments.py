# SPDX-License-Identifier: Apache-2.0
"""Times as a person reads them."""

from trustedpods.protocol.units import utc_text

LAST_MOMENT = 253_402_300_799
"""The end of the year 9999, behind which Python knows no dates; others may say any number."""


def moment(unix: int | None) -> str:
    """`2026-11-21 10:54:03Z`, a dash, or the number where it is no date."""
    if not unix:
        return "-"
    if not 0 < unix <= LAST_MOMENT:
        return f"second {unix}"
    return utc_text(unix)
