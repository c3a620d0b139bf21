# SPDX-License-Identifier: Apache-2.0
"""Visitors who come at a steady pace, however long the ones before them wait."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread
from time import monotonic
from urllib.parse import urlsplit

import h11
import trio

REQUEST_LIMIT_S = 60.0
"""A visitor who has no whole answer by then has none."""


@dataclass
class Answers:
    """What came back, by status, or by the kind of what went wrong; and how long the slowest took."""

    by_kind: "Counter[int | str]" = field(default_factory=Counter)
    slowest_s: float = 0.0
    began: float = field(default_factory=monotonic)
    took_s: float = 0.0
    """From the first visitor until nobody came any more."""

    @property
    def total(self) -> int:
        return self.by_kind.total()

    @property
    def failed(self) -> int:
        """All but status 200."""
        return self.total - self.by_kind[200]

    @property
    def pace(self) -> float:
        """Requests a second that really came."""
        return self.total / self.took_s

    def __str__(self) -> str:
        return (
            f"{self.failed} failed of {self.total} requests in {self.took_s:.1f} s ({self.pace:.1f}/s), "
            f"the slowest {self.slowest_s:.2f} s: {dict(self.by_kind)}"
        )


@contextmanager
def steady_requests(url: str, per_second: float, at: str = "127.0.0.1") -> Iterator[Answers]:
    """So many requests a second while the block runs, each on a connection of its own, to the facade *at*."""
    answers, over = Answers(), Event()

    async def visit_all() -> None:
        async with trio.open_nursery() as nursery:
            begin, count = trio.current_time(), 0
            while not over.is_set():
                nursery.start_soon(_visit, url, at, answers)
                count += 1
                await trio.sleep_until(begin + count / per_second)
            answers.took_s = trio.current_time() - begin

    thread = Thread(target=trio.run, args=(visit_all,))
    thread.start()
    try:
        yield answers
    finally:
        over.set()
        thread.join()


async def _visit(url: str, at: str, answers: Answers) -> None:
    began = trio.current_time()
    try:
        with trio.fail_after(REQUEST_LIMIT_S):
            kind: int | str = await _status(url, at)
    except (OSError, trio.BrokenResourceError, trio.TooSlowError, h11.RemoteProtocolError) as error:
        kind = type(error).__name__
    answers.by_kind[kind] += 1
    answers.slowest_s = max(answers.slowest_s, trio.current_time() - began)


async def _status(url: str, at: str) -> int | str:
    """The status of a whole answer."""
    parts, peer, status = urlsplit(url), h11.Connection(h11.CLIENT), 0
    async with await trio.open_tcp_stream(at, parts.port or 80) as stream:
        asked = h11.Request(
            method="GET", target="/", headers=[("Host", parts.netloc), ("Connection", "close")]
        )
        await stream.send_all((peer.send(asked) or b"") + (peer.send(h11.EndOfMessage()) or b""))
        while True:
            event = peer.next_event()
            if event is h11.NEED_DATA:
                peer.receive_data(await stream.receive_some(65536))
            elif isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.EndOfMessage):
                return status
            elif not isinstance(event, h11.Data | h11.InformationalResponse):
                return "cut"
