# SPDX-License-Identifier: Apache-2.0
"""Counting over a whole daemon: what is up, what a restart keeps, and what the facade is given to show."""

import base64
import json
from dataclasses import replace

import pytest
import trio

from tests.fakes.provider.world import World
from tests.provider.public.profiles import profile
from trustedpods.protocol.codec import decode, encode
from trustedpods.protocol.errors import Refused, StoreFailure
from trustedpods.protocol.messages.provider import Figures, FiguresRequest, SignedFigures
from trustedpods.protocol.net import open_host
from trustedpods.protocol.protocol_ids import PROVIDER
from trustedpods.protocol.sealing.replies import verify_figures
from trustedpods.provider.metrics import Metrics
from trustedpods.provider.public.counting import BEAT_S, SILENT_S, ServiceCount

DOMAIN = "k1.example.org"
NOON = 1_790_035_200.0


@pytest.fixture
async def count_beside(tmp_path):
    """Doors of a daemon over fakes, and a count of its own by a clock that a test moves."""
    world = World(tmp_path)
    world.now = NOON
    async with world.run() as (parts, _):
        await wait_for_figures(world)  # the daemon's own count looks no more in this test
        doors = replace(parts.doors, metrics=Metrics(lambda: world.now))
        yield world, doors, ServiceCount(doors, encode(profile()))


def served(doors):
    doors.metrics.answered("cluster")
    doors.metrics.answered("facade")


def signed_by(count):
    return decode(count.signed.figures, Figures)


async def test_time_counts_while_cluster_and_facade_answer(count_beside):
    world, doors, count = count_beside
    for _ in range(2):
        world.pass_time(BEAT_S)
        served(doors)
        await count.look()
    assert signed_by(count).up_s == 2 * BEAT_S
    world.pass_time(SILENT_S + 1)
    doors.metrics.answered("facade")
    await count.look()
    figures = signed_by(count)
    assert (figures.up_s, figures.counted_s) == (2 * BEAT_S, 2 * BEAT_S + SILENT_S + 1)


async def test_a_clock_that_jumps_does_not_make_time_that_was_served(count_beside):
    world, doors, count = count_beside
    world.pass_time(40_000)
    served(doors)
    await count.look()
    world.now -= 1000
    served(doors)
    await count.look()
    assert signed_by(count).up_s == 2 * BEAT_S


async def test_cold_starts_are_counted_once_and_outlast_a_restart(count_beside):
    world, doors, count = count_beside
    for seconds in (0.25, 0.25, 4.0):
        doors.metrics.woken(seconds, cold=True, served=True)
    doors.metrics.woken(9.0, cold=False, served=True)
    doors.metrics.woken(9.0, cold=True, served=False)
    await count.look()
    await count.look()
    again = ServiceCount(replace(doors, metrics=Metrics(lambda: world.now)), encode(profile()))
    await again.look()
    for figures in (signed_by(count), signed_by(again)):
        assert (figures.cold_starts, figures.cold_start_ms) == (3, 4500)
        assert (figures.half_within_ms, figures.nine_of_ten_within_ms) == (300, 5000)


async def test_books_that_take_nothing_lose_no_cold_start(count_beside):
    world, doors, count = count_beside
    doors.metrics.woken(0.25, cold=True, served=True)
    with world.disk.failing(), pytest.raises(StoreFailure):
        await count.look()
    assert count.signed is None
    await count.look()
    assert signed_by(count).cold_starts == 1


async def test_the_facade_is_given_a_page_and_the_signed_json_for_the_domain_alone(count_beside):
    world, doors, count = count_beside
    await count.look()
    assert set(world.facade.public) == {f"{DOMAIN}/", f"{DOMAIN}/provider.json"}
    page, told = (base64.b64decode(world.facade.public[DOMAIN + path]) for path in ("/", "/provider.json"))
    assert page.startswith(b"<!doctype html>")
    assert json.loads(told)["signature"] == count.signed.signature.hex()
    key = doors.keys.reply.public_key().public_bytes_raw()
    assert verify_figures(count.signed, key) == signed_by(count)


async def test_an_older_proxy_is_told_of_once_and_figures_are_signed_all_the_same(count_beside, caplog):
    world, _, count = count_beside
    world.facade.failure = Refused("Unknown map", rule="haproxy")
    await count.look()
    await count.look()
    assert caplog.text.count("the public page is not shown") == 1
    assert count.signed is not None


async def test_a_running_daemon_tells_its_figures_to_whoever_asks_and_nothing_of_pods(tmp_path):
    world = World(tmp_path)
    async with world.run() as (parts, address):
        await wait_for_figures(world)
        async with (
            open_host(None, []) as host,
            host.dial(address, 30) as connection,
            connection.stream(PROVIDER) as stream,
        ):
            await stream.send(encode(FiguresRequest()))
            signed = decode(await stream.receive(), SignedFigures)
    key = parts.doors.keys.reply.public_key().public_bytes_raw()
    assert verify_figures(signed, key).domain == "k1.test.localhost"


async def wait_for_figures(world):
    """The daemon counts first when it starts."""
    with trio.fail_after(60):
        while not world.facade.public:
            await trio.sleep(0.01)
