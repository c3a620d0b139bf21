# SPDX-License-Identifier: Apache-2.0
"""Which part of a container's log is read on from, in the API server's words. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class LogPart:
    """The last *tail* lines (None: all), of those since a moment (Unix seconds) where that is given.

    With *stamped* each line begins with its time.
    """

    tail: int | None = 100
    since: int | None = None
    stamped: bool = False

    def query(self) -> dict[str, str]:
        """As the API server is asked."""
        asked = {} if self.tail is None else {"tailLines": str(self.tail)}
        if self.since is not None:
            asked["sinceTime"] = datetime.fromtimestamp(self.since, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return asked | ({"timestamps": "true"} if self.stamped else {})


USUAL_PART = LogPart()
"""What a person looks at first."""
