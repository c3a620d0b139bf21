# SPDX-License-Identifier: Apache-2.0
"""Killing a provider's daemon, and what the supervisor makes of it; parts that hang."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.waiting import until

RESTART_LIMIT_S = 150
"""The supervisor's pauses grow up to 20 s when tests kill one daemon several times in a row."""


def part(index: int = 1) -> str:
    """Name of a cluster's daemon in `trustedpods-localnet status`."""
    return f"k{index}/provider"


def kill(market: LiveLocalnet, index: int = 1) -> int:
    """`kill -9` the daemon; its pid."""
    pid = market.pid(part(index))
    os.kill(pid, signal.SIGKILL)
    return pid


def until_back(market: LiveLocalnet, killed: int, index: int = 1) -> int:
    """Wait until the supervisor has started another one, and it listens; its pid."""

    return until_part_back(market, part(index), killed)


def until_part_back(market: LiveLocalnet, name: str, killed: int) -> int:
    """The same of any part of the localnet that is a process."""

    def another() -> int | None:
        found = market.parts()[name]
        fresh = found["state"] == "ready" and found["pid"] not in (None, killed)
        return int(found["pid"]) if fresh else None

    pid = until(f"the supervisor restarted {name}", another, RESTART_LIMIT_S)
    assert pid is not None
    return pid


def restart(market: LiveLocalnet, index: int = 1) -> None:
    """Kill it and wait for the next."""
    until_back(market, kill(market, index), index)


@contextmanager
def silent(market: LiveLocalnet, part: str) -> Iterator[None]:
    """A part of the localnet that takes connections and answers nothing; its supervisor sees it alive."""
    pid = market.pid(part)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
