# SPDX-License-Identifier: Apache-2.0
"""Lines of a pod's logs as they come."""

from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class FollowedLogLine:
    """One line without its end, or a piece (16 KiB) of a longer one; `at_ns` is Unix nanoseconds.

    It is None for a line that was kept of a replica that had ended. With `dropped` it stands for so many
    lines that were left out as nobody took them in time.
    """

    at_ns: int | None
    replica: str
    container: str
    data: bytes
    dropped: int = 0

    @property
    def text(self) -> str:
        """What was written, with a mark in the place of what is no UTF-8."""
        return self.data.decode(errors="replace")

    @property
    def time(self) -> str | None:
        """In ISO 8601, UTC, to the nanosecond."""
        if self.at_ns is None:
            return None
        seconds, rest = divmod(self.at_ns, 10**9)
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"
