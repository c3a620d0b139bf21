# SPDX-License-Identifier: Apache-2.0
"""The release file that holds for this user: the newest of what is shipped, was put in place, and was seen.

Three places are looked into: what is packaged with the client, `measurements.json` in the user's folder of
settings, and the newest that any run has seen, in the folder of state, where it is kept. So neither
an older client nor an older file brings back an image that was withdrawn.

A kept file that today's release keys have not signed, because a new version of the client has a new pair, is
set aside and told: what counts begins again with the files of the new pair.
"""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

from trustedpods.protocol.attestation.releases.file import MAX_RELEASE, read_release
from trustedpods.protocol.attestation.releases.keys import RELEASE_KEYS
from trustedpods.protocol.attestation.releases.model import ImageRelease
from trustedpods.protocol.attestation.releases.order import check_current, check_follows
from trustedpods.protocol.errors import Refused, TrustedPodsError
from trustedpods.publisher.context import state_dir
from trustedpods.publisher.contexts import config_dir
from trustedpods.publisher.state.releases import FILE, keep_release, read_kept, set_aside

LOGGER = logging.getLogger("trustedpods")


@dataclass(frozen=True, slots=True)
class UserReleases:
    """Finds the file for `policy.file`. *pair* are the client's release keys, *shipped* its own file."""

    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    pair: Sequence[str] = RELEASE_KEYS
    shipped: Path | None = None
    now: datetime | None = None

    def demanded(self, least: int) -> ImageRelease:
        """The newest file. Refused (the rules `release-*`) where none is good; BadInput for a damaged one."""
        newest = self._newest()
        if newest is None:
            raise Refused(
                "the policy takes its measurements from a release file, and there is none here",
                rule="release-missing",
                hint="install a version of the client that ships one, or list measurements in the policy",
            )
        check_current(newest, self.now or datetime.now(UTC), least)
        return newest

    def for_names(self) -> ImageRelease | None:
        """The newest file, expired or not; None where there is none, or none that is good."""
        try:
            return self._newest()
        except TrustedPodsError:
            return None

    def _newest(self) -> ImageRelease | None:
        seen_at = state_dir(self.environment) / FILE
        seen = self._kept(seen_at)
        newest = seen
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
        if newest is None:
            return None
        if seen is None or newest.release != seen.release:
            keep_release(seen_at, newest.raw)
        return newest.release

    def _kept(self, path: Path) -> "_Found | None":
        try:
            return self._read(path)
        except Refused as refused:
            if refused.rule != "release-forged":
                raise
            aside = set_aside(path)
            LOGGER.warning(
                "warning: the release file that was kept is not signed by the release keys of this version"
                " of the client: it was set aside as %s, and release files are followed anew (%s)",
                aside,
                refused.what,
            )
            return None

    def _read(self, path: Path) -> "_Found | None":
        raw = read_kept(path, MAX_RELEASE)
        return None if raw is None else _Found(raw, read_release(raw, str(path), self.pair))


@dataclass(frozen=True, slots=True)
class _Found:
    raw: bytes
    release: ImageRelease
