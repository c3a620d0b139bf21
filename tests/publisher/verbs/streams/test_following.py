# SPDX-License-Identifier: Apache-2.0
"""`logs --follow` at the client, over real sockets and libp2p: places, lost connections, what is said."""

from contextlib import asynccontextmanager

import pytest
import trio

from tests.fakes.provider.caller import until
from trustedpods.protocol.codec import decode
from trustedpods.protocol.errors import BadInput, NetworkFailure, Refused
from trustedpods.protocol.messages.base import Done
from trustedpods.protocol.messages.streams.followed import (
    LINE_COST,
    FollowBody,
    FollowedLine,
    FollowedLines,
    FollowedLog,
    FollowInput,
    FollowNote,
    FollowStarted,
)
from trustedpods.protocol.net.bounds import PAUSE_S
from trustedpods.protocol.sealing.inputs import MAX_SEALED, InputOpener
from trustedpods.publisher.results.pods import VisitProgress
from trustedpods.publisher.verbs.streams.following import FollowOptions, follow_logs


class Followed:
    """The logs of two replicas at a provider: what it is asked, and what was taken of it."""

    def __init__(self, peer):
        peer._follow = self.serve
        self.lines, self.bodies, self.taken, self.notes = [], [], [], []
        self.refusal, self.gone = None, None
        self._cut = trio.CancelScope()
        self._changed = trio.Event()

    def write(self, replica, *texts):
        for text in texts:
            self.lines.append((replica, len(self.lines) + 1, text))
        self.ring()

    def ring(self):
        self._changed.set()
        self._changed = trio.Event()

    def cut(self):
        self._cut.cancel()

    async def serve(self, request, answers):
        body = decode(request.body, FollowBody)
        self.bodies.append(body)
        if self.refusal is not None:
            raise self.refusal
        after = {one.replica: one.at for one in body.positions}
        answers.stream.outlast(PAUSE_S)
        await answers.send(FollowStarted(began=body.began or 77, replicas=1, containers=["web"]))
        opener = InputOpener(body.input_key, request.digest)
        with trio.CancelScope() as self._cut:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._hear, answers.stream, opener)
                await self._tell(answers, after)
                nursery.cancel_scope.cancel()
        if self._cut.cancelled_caught:
            await answers.stream.reset()

    async def _tell(self, answers, after):
        place = 0
        while True:
            while self.notes:
                await answers.send(FollowNote(about="asleep", text=self.notes.pop()))
            for replica, at, text in self.lines[place:]:
                if at > after.get(replica, 0):
                    log = FollowedLog(replica=replica, container="web")
                    line = FollowedLine(log=0, at=at, nth=1, text=text.encode())
                    await answers.send(FollowedLines(logs=[log], lines=[line]))
            place = len(self.lines)
            if self.gone is not None:
                await answers.send(Done(text=self.gone), final=True)
                return
            await self._changed.wait()

    async def _hear(self, stream, opener):
        try:
            while True:
                self.taken.append(opener.open_as(await stream.receive(MAX_SEALED, None), FollowInput).taken)
        except NetworkFailure:
            await trio.sleep_forever()


@asynccontextmanager
async def following(bench, **how):
    peer = bench.peer()
    async with peer.serve():
        await bench.deploy()
        followed, journal = Followed(peer), bench.journal()
        async with follow_logs(
            bench.account, "hello", FollowOptions(**how), VisitProgress(), journal
        ) as feed:
            yield followed, feed, journal


async def some(feed, count):
    with trio.fail_after(60):
        return [(line.replica, line.text) for line in [await anext(feed) for _ in range(count)]]


async def test_lines_as_they_come_and_the_end_of_the_pod(bench):
    async with following(bench, tail=5, since_s=60, container="web") as (followed, feed, journal):
        [body] = followed.bodies
        assert (body.tail, body.since_s, body.container, body.began) == (5, 60, "web", None)
        followed.write("one", "a", "b")
        assert await some(feed, 2) == [("one", "a"), ("one", "b")]
        assert not feed.several
        followed.notes.append("the pod sleeps")
        followed.write("two", "c")
        with trio.fail_after(60):
            line = await anext(feed)
        assert (line.time, line.replica, line.text) == ("1970-01-01T00:00:00.000000003Z", "two", "c")
        assert feed.several
        assert "the pod sleeps" in journal.show.warnings
        await until(lambda: followed.taken and followed.taken[-1] == 3 * (LINE_COST + 1))
        followed.gone = "the pod is gone"
        followed.ring()
        assert [line async for line in feed] == []
        assert feed.ended == "the pod is gone"


async def test_a_lost_connection_is_made_again_behind_the_last_line(bench):
    async with following(bench) as (followed, feed, journal):
        followed.write("one", "a", "b")
        followed.write("two", "c")
        assert len(await some(feed, 3)) == 3
        followed.cut()
        followed.write("one", "d")
        followed.write("two", "e")
        assert await some(feed, 2) == [("one", "d"), ("two", "e")]
        first, second = followed.bodies
        assert (first.began, second.began) == (None, 77)
        places = {one.replica: (one.at, one.nth) for one in second.positions}
        assert places in ({"one": (2, 1), "two": (3, 1)}, {"one": (4, 1), "two": (3, 1)})
        assert "connected again" in journal.show.warnings


async def test_a_pod_that_went_meanwhile_is_an_end_and_no_error(bench):
    async with following(bench) as (followed, feed, _):
        followed.refusal = Refused("the pod is gone", rule="phase")
        followed.cut()
        with trio.fail_after(60):
            assert [line async for line in feed] == []
        assert feed.ended == "the pod is gone"


async def test_a_refusal_at_first_is_raised(bench):
    peer = bench.peer()
    async with peer.serve():
        await bench.deploy()
        Followed(peer).refusal = Refused("no container 'x'", rule="container")
        with pytest.raises(Refused) as caught:
            async with follow_logs(bench.account, "hello", FollowOptions(), VisitProgress(), bench.journal()):
                pass
        assert caught.value.rule == "container"


async def test_a_provider_that_is_gone_for_long_is_given_up(bench):
    bench.wait(pause_s=0.5)
    bodies, warnings = [], []

    async def lose():
        async with following(bench) as (followed, feed, journal):
            followed.write("one", "a")
            assert await some(feed, 1) == [("one", "a")]
            followed.refusal = NetworkFailure("the cluster is away")
            followed.cut()
            try:
                await anext(feed)
            finally:
                bodies.extend(followed.bodies)
                warnings.extend(journal.show.warnings)

    with pytest.raises(NetworkFailure), trio.fail_after(60):
        await lose()
    assert len(bodies) > 1
    assert any("connecting again" in text for text in warnings)


@pytest.mark.parametrize("how", [{"tail": -1}, {"tail": 10_001}, {"since_s": 0}])
async def test_numbers_that_no_provider_takes(bench, how):
    with pytest.raises(BadInput):
        async with follow_logs(
            bench.account, "hello", FollowOptions(**how), VisitProgress(), bench.journal()
        ):
            pass
