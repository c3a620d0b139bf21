# SPDX-License-Identifier: Apache-2.0
"""Who asks for a pod's sleep: one of its replicas, by a POST, known by the address."""

from contextlib import suppress
from dataclasses import replace

import pytest
import trio
from trio.testing import open_stream_to_socket_listener

from tests.fakes.provider.caller import serving
from tests.fakes.provider.world import World
from trustedpods.manifests.spec.scale import SLEEP_PATH
from trustedpods.provider.core.scaler.types import ScalePhase
from trustedpods.provider.daemon.own_sleep import (
    ASKED,
    MAX_BODY,
    MAX_HEAD,
    NOBODY,
    NOT_AWAKE,
    NOWHERE,
    OwnSleep,
)
from trustedpods.provider.names.talks import MAX_TALKS_OF_ONE


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def own_sleep_of(parts):
    def scaler_of(label):
        return parts.autoscaler.pod_scaler(parts.pods.of_label(label).channel)

    def publisher_of(label):
        return parts.pods.of_label(label).ref.publisher

    return OwnSleep(parts.autoscaler.replicas.at, scaler_of, publisher_of)


async def test_a_replica_puts_its_own_pod_to_sleep(world, virtual_time):
    async with serving(world) as (parts, caller):
        own_sleep = own_sleep_of(parts)
        pod_scaler = parts.autoscaler.pod_scaler(caller.ref.channel)
        (life,) = world.cluster.lives.values()
        (pod,) = life.pods.values()
        assert pod_scaler.state.phase is ScalePhase.AWAKE
        assert own_sleep.ask("10.255.255.1") == NOBODY
        assert not pod_scaler.state.sleepy
        assert own_sleep.ask(pod.ip) == ASKED
        with trio.fail_after(pod_scaler.state.limits.idle_after / 2):
            while pod_scaler.state.phase is not ScalePhase.ASLEEP:
                await trio.sleep(0.1)
        assert own_sleep.ask(pod.ip) in (NOBODY, NOT_AWAKE)


async def test_a_replica_of_a_version_that_does_not_serve_asks_in_vain(world, virtual_time):
    async with serving(world) as (parts, caller):
        own_sleep = own_sleep_of(parts)
        pod_scaler = parts.autoscaler.pod_scaler(caller.ref.channel)
        (pod,) = next(iter(world.cluster.lives.values())).pods.values()
        pod_scaler.published = replace(pod_scaler.published, namespace="another")
        assert own_sleep.ask(pod.ip) == NOBODY


async def test_an_address_counts_for_the_publisher_of_its_pod(world, virtual_time):
    async with serving(world) as (parts, caller):
        own_sleep = own_sleep_of(parts)
        (pod,) = next(iter(world.cluster.lives.values())).pods.values()
        assert own_sleep.owner(pod.ip) == caller.ref.publisher
        assert own_sleep.owner("10.255.255.1") is None


class Told(OwnSleep):
    """Answers whoever comes with the same; all are replicas of one publisher's pod."""

    def __init__(self):
        super().__init__(lambda _: None, lambda _: None, lambda _: None)
        self.asked = []
        self.listener = None

    def owner(self, _address):
        return "0x" + 40 * "1"

    def ask(self, address):
        self.asked.append(address)
        return ASKED


@pytest.fixture
async def told(nursery):
    own_sleep = Told()
    listeners = await nursery.start(trio.serve_tcp, own_sleep.talks.talk, 0)
    own_sleep.listener = listeners[0]
    return own_sleep


async def said(own_sleep, data):
    """What comes back for *data*, until the end."""
    async with await open_stream_to_socket_listener(own_sleep.listener) as stream:
        await stream.send_all(data)
        return b"".join([piece async for piece in stream])


POST = b"POST " + SLEEP_PATH.encode() + b" HTTP/1.1\r\nHost: x\r\n"


async def test_a_post_is_heard_and_nothing_else(told):
    answer = await said(told, POST + b"Content-Length: 2\r\n\r\n{}")
    assert answer.startswith(b"HTTP/1.1 202 ")
    assert answer.endswith(ASKED[1].encode() + b"\n")
    assert told.asked == ["127.0.0.1"]
    for other in (POST.replace(b"POST", b"GET"), POST.replace(b"/sleep", b"/other")):
        answer = await said(told, other + b"\r\n")
        assert answer.startswith(b"HTTP/1.1 404 ")
        assert answer.endswith(NOWHERE[1].encode() + b"\n")
    assert len(told.asked) == 1


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x01",
        b"POST\r\n\r\n",
        POST + b"A: " + b"a" * 2 * MAX_HEAD,
        POST + b"Content-Length: %d\r\n\r\n" % (2 * MAX_BODY) + b"b" * 2 * MAX_BODY,
        POST.replace(b"POST", b"HEAD") + b"\r\n",
        POST + b"Content-Length: x\r\n\r\n",
    ],
)
async def test_what_is_no_question_is_hung_up_on(told, data):
    with suppress(trio.BrokenResourceError):
        assert await said(told, data) == b""
    assert told.asked == []
    assert (await said(told, POST + b"\r\n")).startswith(b"HTTP/1.1 202 ")


async def test_who_asks_too_often_at_once_is_hung_up_on(told):
    waiting = [await open_stream_to_socket_listener(told.listener) for _ in range(MAX_TALKS_OF_ONE)]
    with trio.fail_after(5):
        while told.talks.count() < MAX_TALKS_OF_ONE:
            await trio.sleep(0.01)
    with suppress(trio.BrokenResourceError):
        assert await said(told, POST + b"\r\n") == b""
    for stream in waiting:
        await stream.aclose()
    with trio.fail_after(5):
        while told.talks.count():
            await trio.sleep(0.01)
    assert (await said(told, POST + b"\r\n")).startswith(b"HTTP/1.1 202 ")
