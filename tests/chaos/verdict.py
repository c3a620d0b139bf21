# SPDX-License-Identifier: Apache-2.0
"""Which failed requests a kill explains. Pure: times in, the unexplained out."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["short", "upload", "download", "websocket", "grpc", "tcp"]

HAPROXY = "k1/haproxy"
CARRIERS = (HAPROXY, "k1/activator")
"""The only processes that bytes of a request pass through, besides the pod itself."""

CLOCK_SLACK_S = 0.1
"""Between the kill and the moment at which a client notices what is left of it."""


@dataclass(frozen=True, slots=True)
class Request:
    """One thing that a client wanted. `error` is empty when all of it arrived and was right.

    `refused`: not even a connection came about. Times are of one monotonic clock, in seconds.
    """

    kind: Kind
    pod: str
    began: float
    ended: float
    error: str = ""
    refused: bool = False
    sent: int = 0
    received: int = 0


@dataclass(frozen=True, slots=True)
class Kill:
    """A part's process was killed at `at`; at `back` the next one was seen ready.

    `dead`: when all that it held open was closed. Until then the kernel takes connections for it.
    """

    part: str
    at: float
    back: float
    dead: float = 0.0


def explained(request: Request, kills: Iterable[Kill]) -> bool:
    """Whether it was in flight through a carrier when that was killed, or met the closed port after."""
    for kill in kills:
        if kill.part not in CARRIERS:
            continue
        if (
            request.began <= max(kill.at, kill.dead) + CLOCK_SLACK_S
            and kill.at <= request.ended + CLOCK_SLACK_S
        ):
            return True
        if request.refused and kill.part == HAPROXY and kill.at <= request.began <= kill.back:
            return True
    return False


def unexplained(requests: Iterable[Request], kills: Iterable[Kill]) -> list[Request]:
    """The failures that nobody may have."""
    known = tuple(kills)
    return [request for request in requests if request.error and not explained(request, known)]
