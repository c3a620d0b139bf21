# SPDX-License-Identifier: Apache-2.0
"""Which of several release files holds: the newest, if it follows those seen before, and is not too old."""

from datetime import datetime, timedelta
from typing import Final

from trustedpods.protocol.attestation.releases.model import ImageRelease, moment
from trustedpods.protocol.errors import Refused

CLOCK_ALLOWANCE: Final = timedelta(days=1)
"""A file may be made so much later than now: clocks differ, and expiry is counted in weeks."""


def check_follows(seen: ImageRelease, found: ImageRelease, where: str) -> None:
    """*found* is *seen*, or was made after it with it in its past.

    Refused by "release-older" or "release-fork".
    """
    if found.number < seen.number:
        raise Refused(
            f"the release file is number {found.number}, and number {seen.number} was seen here before",
            where=where,
            rule="release-older",
            hint="take that file away, or put a newer one there; the newest that was seen stays in use",
        )
    past = [*found.before, found.digest]
    keys = found.successions[: len(seen.successions)]
    if past[seen.number - 1] != seen.digest or keys != seen.successions:
        raise Refused(
            f"release file {found.number} does not follow number {seen.number} that was seen here before:"
            " somebody signed two histories",
            where=where,
            rule="release-fork",
        )


def check_current(release: ImageRelease, now: datetime, least: int = 0) -> None:
    """It may be used at *now*, and is at least number *least*.

    Refused by "release-expired", "release-clock", "release-minimum".
    """
    if now >= release.expiry:
        raise Refused(f"release file {release.number} expired on {release.not_after}", rule="release-expired")
    if moment(release.made_at) > now + CLOCK_ALLOWANCE:
        raise Refused(
            f"release file {release.number} was made on {release.made_at}, and this machine's clock says"
            f" {now:%Y-%m-%dT%H:%M:%SZ}",
            rule="release-clock",
        )
    if release.number < least:
        raise Refused(
            f"the policy demands release file {least} or later, and the newest here is {release.number}",
            rule="release-minimum",
        )
