# SPDX-License-Identifier: Apache-2.0
"""Which of several release files holds: the newest, if it follows those seen before, and is not too old."""

from datetime import datetime, timedelta
from typing import Final

from trustedpods.protocol.attestation.releases.model import ImageModel, ImageRelease, moment
from trustedpods.protocol.errors import BadInput, Refused

CLOCK_ALLOWANCE: Final = timedelta(days=1)
"""A file may be made so much later than now: clocks differ, and expiry is counted in weeks."""

WITHDRAWN_FOR: Final = timedelta(days=365)
"""So long an image stays withdrawn by name: a file has room for a year of weekly images, and a policy that
lists an older one by its numbers has been warned for a year."""


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


def carried_withdrawals(before: ImageRelease, draft: ImageRelease) -> list[ImageModel]:
    """The withdrawn images of *before* that *draft* leaves out, and that may not be forgotten yet.

    BadInput, with the image's version, where *draft* trusts one of them again, by its version or its numbers.
    """
    named = {image.version: image for image in draft.images}
    made = moment(draft.made_at)
    missing = []
    for image in before.images:
        if image.withdrawn is None or moment(image.withdrawn.on) + WITHDRAWN_FOR <= made:
            continue
        again = next((one for one in draft.trusted_images if _same_machine(image, one)), None)
        if again is not None or (image.version in named and not _withdraws(named[image.version], image)):
            raise BadInput(
                f"image {image.version} was withdrawn on {image.withdrawn.on[:10]}, and the draft trusts it"
                " again or changes its measurements",
                where="the draft",
                hint="leave its entry as it was, or leave it out: it is carried on",
            )
        if image.version not in named:
            missing.append(image)
    return missing


def _withdraws(entry: ImageModel, image: ImageModel) -> bool:
    return entry.withdrawn is not None and entry.snp == image.snp and entry.tdx == image.tdx


def _same_machine(one: ImageModel, other: ImageModel) -> bool:
    digests = {shape.digest for shape in one.snp} & {shape.digest for shape in other.snp}
    return bool(digests or one.trust_domains & other.trust_domains)
