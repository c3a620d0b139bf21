# SPDX-License-Identifier: Apache-2.0
"""The kernel's door to a TEE: configfs-tsm (Linux 6.7, Documentation/ABI/testing/configfs-tsm-report).

One directory per request: 64 bytes in, report and certificates out. The kernel counts writes in
`generation`; a number other than ours means that somebody else wrote, and the answer is thrown away.
"""

import errno
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from trustedpods.protocol.attestation.report_data import REPORT_DATA_BYTES
from trustedpods.protocol.errors import NoContext, Refused
from trustedpods.protocol.limits import KIB

REPORTS: Final = Path("/sys/kernel/config/tsm/report")

ENTRY_PREFIX: Final = "trustedpods-"
MAX_ATTRIBUTE: Final = 4 * KIB
"""Text attributes: numbers and names, at most a page."""

MAX_BLOB: Final = 32 * KIB
"""The kernel's own bound on a report and on a certificate table (TSM_REPORT_OUTBLOB_MAX)."""

ATTEMPTS: Final = 6
FIRST_PAUSE_S: Final = 0.05
"""Doubled after each attempt: 1.5 s in all, and a quote takes a quarter of a second."""

_PASSING: Final = {errno.EBUSY, errno.EINTR, errno.ETIMEDOUT, errno.EAGAIN}
_NO_TEE: Final = {errno.ENXIO, errno.ENODEV, errno.EOPNOTSUPP}
_NOT_ALLOWED: Final = {errno.EACCES, errno.EPERM}
_ABSENT: Final = {errno.ENOENT, errno.ENOTDIR}


class Tsm(Protocol):
    """The operations on the kernel's directory; they raise OSError as the kernel does."""

    def make(self, entry: str) -> None:
        """Make the directory of a request."""

    def remove(self, entry: str) -> None:
        """Remove it."""

    def read(self, entry: str, attribute: str, limit: int) -> bytes:
        """A whole attribute; OSError (EFBIG) when it has more than *limit* bytes."""

    def write(self, entry: str, attribute: str, data: bytes) -> None:
        """Write *data* at once."""

    def entries(self) -> list[str]:
        """Requests that are there."""


class ConfigfsTsm:
    """The real directory."""

    def __init__(self, root: Path = REPORTS) -> None:
        self.root = root

    def make(self, entry: str) -> None:
        """Make the directory of a request; the kernel fills it."""
        os.mkdir(self.root / entry, 0o700)

    def remove(self, entry: str) -> None:
        """Remove it; its attributes go with it."""
        os.rmdir(self.root / entry)

    def read(self, entry: str, attribute: str, limit: int) -> bytes:
        """A whole attribute, in as many reads as it takes."""
        file = os.open(self.root / entry / attribute, os.O_RDONLY | os.O_CLOEXEC)
        try:
            data = b""
            while chunk := os.read(file, limit + 1 - len(data)):
                data += chunk
                if len(data) > limit:
                    raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
            return data
        finally:
            os.close(file)

    def write(self, entry: str, attribute: str, data: bytes) -> None:
        """One write: the drivers take an inblob whole or not at all."""
        file = os.open(self.root / entry / attribute, os.O_WRONLY | os.O_CLOEXEC)
        try:
            if os.write(file, data) != len(data):
                raise OSError(errno.EIO, "the kernel took a part of it")
        finally:
            os.close(file)

    def entries(self) -> list[str]:
        """Requests that are there, of whomever."""
        return os.listdir(self.root)


@dataclass(frozen=True, slots=True)
class TsmReport:
    """What the kernel answered: its driver's name, the report, and what came beside it."""

    provider: str
    outblob: bytes
    auxblob: bytes


def report(tsm: Tsm, report_data: bytes, pause: Callable[[float], None] = time.sleep) -> TsmReport:
    """A report over 64 bytes; what passes (a busy device, an interrupted call) is tried again.

    NoContext where there is no TEE or no right to it, Refused when it stays busy.
    """
    assert len(report_data) == REPORT_DATA_BYTES
    wait, last = FIRST_PAUSE_S, "somebody else writes to the same request"
    for attempt in range(ATTEMPTS):
        if attempt:
            pause(wait)
            wait *= 2
        try:
            found = _ask(tsm, report_data)
        except OSError as error:
            if error.errno not in _PASSING:
                raise _translated(error) from error
            last = error.strerror or str(error)
        else:
            if found is not None:
                return found
    raise Refused(
        f"the TEE gave no report in {ATTEMPTS} attempts: {last}", rule="tee-busy", hint="try again later"
    )


def provider_name(tsm: Tsm) -> str:
    """The driver behind the door (`sev_guest`, `tdx_guest`); NoContext where there is none.

    Also removes requests that a killed daemon left behind.
    """
    try:
        for stale in tsm.entries():
            if stale.startswith(ENTRY_PREFIX):
                tsm.remove(stale)
        with _Entry(tsm) as entry:
            return entry.text("provider")
    except OSError as error:
        raise _translated(error) from error


class _Entry:
    """One request: made on entry, removed at the end; counts its writes."""

    def __init__(self, tsm: Tsm) -> None:
        self._tsm = tsm
        self._name = f"{ENTRY_PREFIX}{os.getpid()}-{secrets.token_hex(8)}"
        self.writes = 0

    def __enter__(self) -> "_Entry":
        self._tsm.make(self._name)
        return self

    def __exit__(self, *_: object) -> None:
        self._tsm.remove(self._name)

    def text(self, attribute: str) -> str:
        return self._tsm.read(self._name, attribute, MAX_ATTRIBUTE).decode("ascii", "replace").strip()

    def number(self, attribute: str) -> int:
        text = self.text(attribute)
        if not text.isascii() or not text.isdecimal():
            raise OSError(errno.EIO, f"{attribute} is {text!r}, not a number")
        return int(text)

    def blob(self, attribute: str) -> bytes:
        return self._tsm.read(self._name, attribute, MAX_BLOB)

    def write(self, attribute: str, data: bytes) -> None:
        self._tsm.write(self._name, attribute, data)
        self.writes += 1


def _ask(tsm: Tsm, report_data: bytes) -> TsmReport | None:
    """One attempt; None when the generation is not ours."""
    with _Entry(tsm) as entry:
        provider, before = entry.text("provider"), entry.number("generation")
        entry.write("inblob", report_data)
        _set_privilege(entry)
        outblob, auxblob = entry.blob("outblob"), _optional(entry, "auxblob")
        if entry.number("generation") != before + entry.writes:
            return None
    return TsmReport(provider, outblob, auxblob)


def _set_privilege(entry: _Entry) -> None:
    """The most privileged level that the host lets us ask for; TDX has no such attribute."""
    try:
        floor = entry.number("privlevel_floor")
    except OSError as error:
        if error.errno in _ABSENT:
            return
        raise
    entry.write("privlevel", str(floor).encode())


def _optional(entry: _Entry, attribute: str) -> bytes:
    try:
        return entry.blob(attribute)
    except OSError as error:
        if error.errno in _ABSENT:
            return b""
        raise


def _translated(error: OSError) -> NoContext | Refused:
    """What the kernel says, in words that help."""
    text = error.strerror or str(error)
    if error.errno in _NO_TEE:
        return NoContext(
            f"the kernel has no TEE: {text}",
            where=str(REPORTS),
            hint="is this a confidential VM, and the module sev-guest or tdx-guest loaded?",
        )
    if error.errno in _ABSENT:
        return NoContext(
            "the kernel offers no TEE reports: the directory does not exist",
            where=str(REPORTS),
            hint="mount configfs (mount -t configfs none /sys/kernel/config), load sev-guest or tdx-guest; "
            "Linux 6.7 or newer",
        )
    if error.errno in _NOT_ALLOWED:
        return NoContext(f"no right to ask the TEE: {text}", where=str(REPORTS), hint="it takes root")
    return Refused(f"the TEE gave no report: {text}", rule="tee", where=str(REPORTS))
