# SPDX-License-Identifier: Apache-2.0
"""The release file that holds for this user: the newest of what is shipped, was put in place, and was seen.

Three places are looked into: what is packaged with the client, `measurements.json` in the user's folder of
settings, and the newest that any run has seen, in the folder of state, where it is kept. So neither
an older client nor an older file brings back an image that was withdrawn.

A new version of the client may have a new pair of release keys. A kept file that the pair before it signed is
set aside and told: what counts begins again with the files of the new pair. Any other kept file that today's
pair has not signed is refused, as an older client would otherwise give up what a newer one has seen.
"""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

from trustedpods.protocol.attestation.releases.file import MAX_RELEASE, is_retired, read_release
from trustedpods.protocol.attestation.releases.keys import RELEASE_KEYS, RETIRED_KEYS
from trustedpods.protocol.attestation.releases.model import ImageRelease
from trustedpods.protocol.attestation.releases.order import check_current, check_follows
from trustedpods.protocol.errors import Refused, TrustedPodsError
from trustedpods.publisher.context import state_dir
from trustedpods.publisher.contexts import config_dir
from trustedpods.publisher.state.releases import FILE, keep_release, read_kept, set_aside

LOGGER = logging.getLogger("trustedpods")


@dataclass(frozen=True, slots=True)
class UserReleases:
    """Finds the file for `policy.file`.

    *pair* are the client's release keys, *retired* the pairs of its earlier versions, *shipped* its own file.
    """

    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    pair: Sequence[str] = RELEASE_KEYS
    shipped: Path | None = None
    now: datetime | None = None
    retired: Sequence[Sequence[str]] = RETIRED_KEYS

    def demanded(self, least: int) -> ImageRelease:
        """The newest file. Refused (the rules `release-*`) where none is good; BadInput for a damaged one."""
        newest = self._newest(setting_aside=True)
        if newest is None:
            raise Refused(
                "the policy takes its measurements from a release file, and there is none here",
                rule="release-missing",
                hint="install a version of the client that ships one, or list measurements in the policy",
            )
        check_current(newest, self.now or datetime.now(UTC), least)
        return newest

    def for_names(self) -> ImageRelease | None:
        """The newest file, expired or not; None where there is none, or none that is good.

        It only looks: a kept file of retired keys stays where it is.
        """
        try:
            return self._newest(setting_aside=False)
        except TrustedPodsError:
            return None

    def _newest(self, *, setting_aside: bool) -> ImageRelease | None:
        seen_at = state_dir(self.environment) / FILE
        seen, retired = self._kept(seen_at)
        newest = self._newer(seen)
        if newest is None:
            return None
        if retired is not None:
            if not setting_aside:
                return newest.release
            self._set_aside(seen_at, retired)
        if seen is None or newest.release != seen.release:
            keep_release(seen_at, newest.raw)
        return newest.release

    def _newer(self, newest: "_Found | None") -> "_Found | None":
        """What is shipped or was put in place, where that is newer than the *newest* that was seen."""
        shipped = self.shipped or Path(str(files("trustedpods.protocol.attestation.releases") / FILE))
        for path in (shipped, config_dir(self.environment) / FILE):
            found = self._read(path)
            if found is None:
                continue
            if newest is not None and path == shipped and found.release.number < newest.release.number:
                check_follows(found.release, newest.release, str(path))  # an older client is no step back
                continue
            if newest is not None:
                check_follows(newest.release, found.release, str(path))
            newest = found
        return newest

    def _kept(self, path: Path) -> "tuple[_Found | None, bytes | None]":
        """The newest that was seen; else, in second place, the bytes of one whose keys were retired."""
        raw = read_kept(path, MAX_RELEASE)
        if raw is None:
            return None, None
        try:
            return _Found(raw, read_release(raw, str(path), self.pair)), None
        except Refused as refused:
            if refused.rule != "release-forged":
                raise
            if is_retired(raw, str(path), self.retired):
                return None, raw
            hint = f"a newer client may have kept it: install that one, or move {path} away"
            raise Refused(refused.what, where=str(path), rule=refused.rule, hint=hint) from None

    def _set_aside(self, path: Path, raw: bytes) -> None:
        aside = set_aside(path, raw)
        LOGGER.warning(
            "warning: the release file that was kept is signed by release keys that are no longer in use:"
            " it was set aside as %s, and release files are followed anew",
            aside,
        )

    def _read(self, path: Path) -> "_Found | None":
        raw = read_kept(path, MAX_RELEASE)
        return None if raw is None else _Found(raw, read_release(raw, str(path), self.pair))


@dataclass(frozen=True, slots=True)
class _Found:
    raw: bytes
    release: ImageRelease
