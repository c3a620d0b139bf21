# SPDX-License-Identifier: Apache-2.0
"""What was last read of each subject of a page, shared by all tabs.

A subject is read when somebody looks and what is known is old: once for all who look. A reading that fails
leaves the last good one in its place, with its age.
"""

import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar, cast

import trio

from trustedpods.protocol.errors import NetworkFailure, TrustedPodsError, most_telling

T = TypeVar("T")

LOGGER = logging.getLogger("trustedpods")

MAX_SUBJECTS = 128
"""Kept at once: a person looks at few pods, and each keeps its last lines and its bill."""

AT_ONCE = 4
"""Readings at once: each may attest a provider, and must leave the page quick."""


@dataclass(frozen=True, slots=True)
class ReadingLimits:
    """Seconds: how long a reading is new, may take, and is waited for before the last one is shown."""

    fresh_s: float = 10.0
    longest_s: float = 120.0
    patience_s: float = 2.0


@dataclass(frozen=True, slots=True)
class KeptReading(Generic[T]):
    """The last good `value` and when it was read; `error` is of a later try. Times are Unix seconds.

    `running`: it is being read now.
    """

    value: T | None = None
    at: float | None = None
    error: TrustedPodsError | None = None
    failed_at: float | None = None
    running: bool = False


@dataclass(slots=True)
class _Subject:
    """What is kept of a subject; `done` is there while it is read."""

    reading: KeptReading[object] = field(default_factory=KeptReading)
    done: trio.Event | None = None


class Readings:
    """Reads in *nursery*; *now* is Unix time."""

    def __init__(
        self,
        nursery: trio.Nursery,
        limits: ReadingLimits | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._nursery = nursery
        self._limits = limits or ReadingLimits()
        self._now = now
        self._subjects: OrderedDict[str, _Subject] = OrderedDict()
        self._at_once = trio.CapacityLimiter(AT_ONCE)

    async def look(
        self, name: str, read: Callable[[], Awaitable[T]], *, fresh_s: float | None = None
    ) -> KeptReading[T]:
        """What is known of the subject *name*; it is read anew when that is older than *fresh_s*.

        A try that failed is repeated as soon as any other subject is, also where *fresh_s* is hours.
        """
        subject = self._subjects.setdefault(name, _Subject())
        self._subjects.move_to_end(name)
        self._forget()
        if subject.done is None and self._is_old(
            subject.reading, self._limits.fresh_s if fresh_s is None else fresh_s
        ):
            subject.done = trio.Event()
            self._nursery.start_soon(self._read, subject, read)
        if subject.done is not None:
            with trio.move_on_after(self._limits.patience_s):
                await subject.done.wait()
        return cast("KeptReading[T]", replace(subject.reading, running=subject.done is not None))

    def _is_old(self, reading: KeptReading[object], fresh_s: float) -> bool:
        tried = max(reading.at or 0.0, reading.failed_at or 0.0)
        if reading.error is not None:
            fresh_s = min(fresh_s, self._limits.fresh_s)
        return not 0 <= self._now() - tried < fresh_s  # a clock that was set back makes it old too

    def _forget(self) -> None:
        """Those that nobody asked for longest; one that is being read stays."""
        for name in [name for name, one in self._subjects.items() if one.done is None]:
            if len(self._subjects) <= MAX_SUBJECTS:
                return
            del self._subjects[name]

    async def _read(self, subject: _Subject, read: Callable[[], Awaitable[object]]) -> None:
        done = subject.done
        try:
            async with self._at_once:
                with trio.fail_after(self._limits.longest_s):
                    value = await read()
            subject.reading = KeptReading(value, self._now())
        except trio.TooSlowError:
            slow = NetworkFailure(f"no answer within {self._limits.longest_s:.0f} s", rule="timeout")
            self._failed(subject, slow)
        except Exception as raised:  # noqa: BLE001 - a bug met by one look must not end the page
            self._failed(subject, most_telling(raised))
        finally:
            subject.done = None
            assert done is not None
            done.set()

    def _failed(self, subject: _Subject, error: BaseException) -> None:
        if not isinstance(error, TrustedPodsError):
            LOGGER.error("a reading of the page met a bug", exc_info=error)
            error = TrustedPodsError(f"{type(error).__name__}: {error}", hint="this is a bug: report it")
        subject.reading = replace(subject.reading, error=error, failed_at=self._now())
