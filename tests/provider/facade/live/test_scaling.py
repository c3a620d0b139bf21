# SPDX-License-Identifier: Apache-2.0
"""Scaler, facade, activator and real HAProxy together; only the cluster is made of tasks here.

Replicas that are scaled away end at once, with whatever they were doing: a request that is not
answered was cut by us.
"""

import random
from pathlib import Path

import pytest
import trio

from tests.provider.facade.parts import LiveFacade, Pod, everything, get, live_facade, parse, until
from trustedpods.provider.core.scaler.scaler import (
    AnswerWakes,
    Limits,
    PodsSeen,
    RefuseWakes,
    ScalePhase,
    ScalerCommand,
    ScalerEvent,
    Serve,
    SetReplicas,
    Tick,
    TrafficSeen,
    WakeAsked,
    begin,
    step,
)
from trustedpods.provider.core.scaler.types import SetFrozen
from trustedpods.provider.facade.activator.wake import WakeAddress, WakeAnswer, WakeRefusal, serve_wakes

pytestmark = pytest.mark.live

HOST = "pabc.k1.test.localhost"
START_S = 0.05
SLEEPS_WITHIN_S = 60


class ScaledPod:
    """What the daemon's app does for one pod: events in, commands out, one after another."""

    def __init__(self, live: LiveFacade, slot: int, limits: Limits, nursery: trio.Nursery) -> None:
        self.live, self.slot, self.nursery = live, slot, nursery
        self.state = begin(limits, trio.current_time())
        self.lock = trio.Lock()
        self.replicas: list[Pod] = []
        self.spec = self.made = self.woken = 0
        self.answers: trio.Event = trio.Event()
        self.answer: WakeAnswer | None = None

    async def handle(self, event: ScalerEvent) -> None:
        async with self.lock:
            await self.locked(event)

    async def locked(self, event: ScalerEvent) -> None:
        self.state, commands = step(self.state, event, trio.current_time())
        for command in commands:
            await self.obey(command)

    async def obey(self, command: ScalerCommand) -> None:
        match command:
            case SetReplicas(count, victims):
                self.scale(count, victims)
            case Serve(pods, draining):
                await self.live.facade.set_pods(self.slot, pods, draining)
            case AnswerWakes(pod):
                self.tell(WakeAddress(pod.ip, pod.port))
            case RefuseWakes(reason, retry_after):
                self.tell(WakeRefusal(reason, retry_after))
            case SetFrozen():
                raise AssertionError("no pod here may sleep warm")

    def tell(self, answer: WakeAnswer) -> None:
        self.answer = answer
        self.answers.set()
        self.answers = trio.Event()

    def scale(self, count: int, victims: tuple[str, ...]) -> None:
        self.woken += not self.spec and count > 0
        self.spec = count
        order = sorted(self.replicas, key=lambda pod: pod.name not in victims)
        for pod in order[: max(0, len(order) - count)]:
            self.replicas.remove(pod)
            pod.scope.cancel()
        while len(self.replicas) < count:
            self.made += 1
            self.replicas.append(Pod(f"pod-{self.made}"))
            self.nursery.start_soon(self.start_pod, self.replicas[-1])

    async def start_pod(self, pod: Pod) -> None:
        await trio.sleep(START_S)
        if pod in self.replicas:
            self.nursery.start_soon(pod.run)
            pod.hold.set()

    async def wake(self, slot: int) -> WakeAnswer:
        assert slot == self.slot
        answered = self.answers
        self.nursery.start_soon(self.handle, WakeAsked())
        await answered.wait()
        assert self.answer is not None
        return self.answer

    async def look(self) -> None:
        """The reconcile loop; fast, as the idle time is."""
        while True:
            async with self.lock:
                ready = tuple(pod.address for pod in self.replicas if pod.hold.is_set())
                await self.locked(PodsSeen(ready, replicas=self.spec, settled=True))
                stats = await self.live.runtime.stats([self.slot])
                await self.locked(TrafficSeen(stats[self.slot]))
                await self.locked(Tick())
            await trio.sleep(0.03)

    async def sleeping(self) -> bool:
        return self.state.phase is ScalePhase.ASLEEP and not self.replicas


@pytest.fixture
async def live(tmp_path: Path):
    async with live_facade(tmp_path) as facade:
        yield facade


async def start(live: LiveFacade, nursery: trio.Nursery, limits: Limits) -> ScaledPod:
    slot = (await live.facade.publish("a", [HOST])).slot
    pod = ScaledPod(live, slot, limits, nursery)
    await nursery.start(serve_wakes, live.wake_socket, pod.wake)
    nursery.start_soon(pod.look)
    return pod


async def test_from_zero_to_zero(live: LiveFacade, nursery):
    pod = await start(live, nursery, Limits(idle_after=0.5, max=3, concurrency=10))
    answers = []

    async def one() -> None:
        answers.append((await get(live.port, HOST)).status)

    begun = trio.current_time()
    async with trio.open_nursery() as clients:
        for _ in range(50):
            clients.start_soon(one)
    assert answers == [200] * 50
    assert trio.current_time() - begun < 15
    await until(pod.sleeping, "it sleeps again")
    assert all(server.maint for server in await live.runtime.servers())


async def test_a_long_download_from_zero_outlives_the_idle_time(live: LiveFacade, nursery):
    pod = await start(live, nursery, Limits(idle_after=0.2))
    response = await get(live.port, HOST, "/slow/100")
    assert len(response.body) == 1_000_000
    assert pod.woken == 1
    await until(pod.sleeping, "it sleeps again")


async def test_an_upload_during_a_drain_calls_it_off(live: LiveFacade, nursery):
    pod = await start(live, nursery, Limits(idle_after=0.2))
    await get(live.port, HOST)
    async with await trio.open_tcp_stream("127.0.0.1", live.port) as download:
        await download.send_all(
            f"GET /slow/60 HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode()
        )

        async def drained() -> bool:
            """Nothing makes it drain while the download runs; so it is told to."""
            await live.facade.drain(pod.slot)
            return True

        await until(drained, "drained by another hand")
        assert (await get(live.port, HOST, "/count/300000", body=b"x" * 300_000)).body == b"300000"
        assert len(parse(await everything(download)).body) == 600_000
    assert pod.woken == 1


async def test_no_request_is_lost_in_ten_seconds_of_falling_asleep_and_waking(live: LiveFacade, nursery):
    """Requests come about as far apart as the pod falls asleep."""
    pod = await start(live, nursery, Limits(idle_after=0.15, max=3, concurrency=2))
    answers: dict[int, int] = {}

    begun = trio.current_time()

    def goes_on() -> bool:
        """Ten seconds, and longer on a busy machine, where answers take so long that it seldom sleeps."""
        passed = trio.current_time() - begun
        return passed < 10 or (pod.woken <= 3 and passed < SLEEPS_WITHIN_S)

    async def client(seed: int) -> None:
        dice = random.Random(seed)
        while goes_on():
            path, size = dice.choice([("/", 5), ("/slow/5", 50_000), ("/count/50000", 5)])
            body = b"x" * 50_000 if path.startswith("/count") else None
            response = await get(live.port, HOST, path, body=body)
            answers[response.status] = answers.get(response.status, 0) + 1
            assert response.status == 200, response
            assert len(response.body) >= size
            await trio.sleep(dice.choice([0, 0.05, 0.3, 0.4, 0.45]))

    async with trio.open_nursery() as clients:
        for seed in range(3):
            clients.start_soon(client, seed)
    assert answers[200] > 20
    assert pod.woken > 3, "it slept in between"
    await until(pod.sleeping, "it sleeps in the end")
