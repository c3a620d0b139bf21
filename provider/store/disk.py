# SPDX-License-Identifier: Apache-2.0
"""The disk under the books: how much is free, and a reserve that a full disk leaves for stops and claims.

The reserve is a file of real blocks beside the database. It goes when the disk is nearly full or a write
failed for want of room, and is made again when there is enough.
"""

import logging
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from trustedpods.protocol.errors import Refused, StoreFailure
from trustedpods.protocol.limits import MIB
from trustedpods.provider.core import disk
from trustedpods.provider.core.disk import DiskSizes, DiskState
from trustedpods.provider.store.failures import IO

_log = logging.getLogger(__name__)

RESERVE_NAME = "reserve"
_MODE = 0o600


class Disk:
    """The disk that *folder* is on. `look` asks it anew; the answers are of the last look.

    With `NO_SIZES` there is no reserve and no mark: for tests.
    """

    def __init__(self, folder: Path, sizes: DiskSizes = disk.NO_SIZES) -> None:
        self._folder = folder
        self._sizes = sizes
        self._reserve = folder / RESERVE_NAME
        self._failing: StoreFailure | None = None
        self._failures: Counter[str] = Counter()
        self.free = 0
        """Bytes that the daemon may still write."""
        self._reserved = False

    @property
    def state(self) -> DiskState:
        """As the last look and the last write found it."""
        failing = self._failing is not None
        return disk.state_of(self.free, self._sizes, reserved=self._reserved, failing=failing)

    @property
    def failure(self) -> StoreFailure | None:
        """Why the last write failed; None when it did not."""
        return self._failing

    @property
    def failures(self) -> Mapping[str, int]:
        """How many reads and writes failed since the start, by rule."""
        return MappingProxyType(self._failures)

    def look(self) -> None:
        """See what is free; spend the reserve or set it aside, as `core.disk` says. Never fails."""
        try:
            self.free, self._reserved = self._read(), self._reserve.exists()
            if self._reserved and disk.must_spend(self.free, self._sizes):
                self.spend()
            elif not self._reserved and disk.may_set_aside(self.free, self._sizes):
                self._set_aside()
        except OSError as error:
            _log.warning("the disk of the books cannot be looked at: %s", error)

    def spend(self) -> bool:
        """Free the reserve; whether there was one."""
        try:
            self._reserve.unlink()
        except OSError:
            return False
        finally:
            self._reserved = False
        self.free = self._read()
        _log.error("the disk of the books is full: its reserve was freed for stops and claims; make room")
        return True

    def check(self) -> None:
        """Refused (rule `disk`) unless there is room for a new pod."""
        if self.state is not DiskState.GOOD:
            raise Refused(
                f"this provider takes nothing new: its disk is {self.state}, {self.free // MIB} MiB are free",
                rule="disk",
                hint="take another provider, or try again later; pods that are here stay",
            )

    def wrote(self) -> None:
        """A write got through."""
        if self._failing is not None:
            _log.warning("the books can be written again")
            self._failing = None

    def failed(self, error: StoreFailure, *, writing: bool) -> None:
        """A read or a write did not get through."""
        self._failures[error.rule or IO] += 1
        if not writing:
            return
        if self._failing is None or self._failing.rule != error.rule:
            _log.error("%s", error)  # once, and not at every write
        self._failing = error

    def _read(self) -> int:
        found = os.statvfs(self._folder)
        return found.f_bavail * found.f_frsize

    def _set_aside(self) -> None:
        draft = self._reserve.with_name(f".{RESERVE_NAME}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _MODE)
        try:
            os.posix_fallocate(descriptor, 0, self._sizes.reserve)
            draft.replace(self._reserve)
        except OSError:
            draft.unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)
        self.free, self._reserved = self._read(), True
