# SPDX-License-Identifier: Apache-2.0
"""Pods as a person reads them."""

from dataclasses import replace

import pytest

from trustedpods.protocol.ids import channel_hex
from trustedpods.protocol.messages.pod import PodEvent, PodFailure, PublisherRoom
from trustedpods.publisher.commands.lines.pods import list_lines, status_lines
from trustedpods.publisher.output.json_of import json_of
from trustedpods.publisher.results.pods import VisitProgress
from trustedpods.publisher.verbs import pods
from trustedpods.publisher.verbs.running.listed import list_pods

CRASH = PodFailure(
    reason="container web ended: exit code 4",
    container="web",
    exit_code=4,
    ended_at=1_800_000_000,
    lines="one\ntwo",
    tries=3,
    next_try_at=1_800_000_020,
    by_itself=False,
)


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (None, []),
        (
            CRASH,
            [
                "failing   container web ended: exit code 4 (3 in a row)",
                "last end  web: exit code 4 at 2027-01-15 08:00:00Z",
                "          | one",
                "          | two",
                "next try  2027-01-15 08:00:20Z, with the first request then",
            ],
        ),
        (
            CRASH.model_copy(update={"container": None, "exit_code": None, "ended_at": None, "lines": ""}),
            [
                "failing   container web ended: exit code 4 (3 in a row)",
                "next try  2027-01-15 08:00:20Z, with the first request then",
            ],
        ),
    ],
)
async def test_a_status_tells_why_a_pod_does_not_start(bench, failure, told):
    async with bench.peer().serve():
        await bench.deploy()
        result = await pods.status(bench.account, "hello", VisitProgress(), bench.journal())
    phase = "failing" if failure else "serving"
    lines = status_lines(replace(result, phase=phase, failure=failure, version=2, confirmed=None))
    assert lines[0] == f"hello  {phase}"
    begin = lines.index(f"replicas  {result.ready} ready of {result.replicas}, version 2") + 1
    assert lines[begin : begin + len(told)] == told
    assert lines[begin + len(told)].startswith("service")


async def test_a_pod_that_serves_without_a_replica_is_asleep(bench):
    """In text; a program reads the provider's own word, and counts the replicas."""
    async with bench.peer().serve():
        await bench.deploy()
        result = await pods.status(bench.account, "hello", VisitProgress(), bench.journal())
        listed = await list_pods(bench.account, bench.journal())
    sleeping = replace(result, replicas=0, ready=0)
    assert status_lines(sleeping)[0] == "hello  asleep"
    assert json_of(sleeping)["phase"] == "serving"
    assert status_lines(replace(sleeping, phase="starting"))[0] == "hello  starting"
    rows = [replace(one, replicas=0, ready=0) for one in listed.pods]
    assert list_lines(replace(listed, pods=tuple(rows)))[1].split()[:2] == ["hello", "asleep"]


async def test_a_wide_status_has_what_scripts_ask_for(bench):
    async with bench.peer().serve():
        await bench.deploy()
        result = await pods.status(bench.account, "hello", VisitProgress(), bench.journal())
    more = [line for line in status_lines(result, wide=True) if line not in status_lines(result)]
    assert more == [
        f"channel   {channel_hex(result.pod.channel.id)}",
        "each      100m CPU, 64Mi of memory",
        f"namespace {result.confirmed.namespace}, generation {result.confirmed.generation}",
        f"money     deposit {result.pod.token.number(result.deposit)}, claimed 0, accrued 0.000005 TPT",
    ]


async def test_a_status_says_what_a_day_costs_as_a_list_does(bench):
    async with bench.peer().serve():
        await bench.deploy()
        result = await pods.status(bench.account, "hello", VisitProgress(), bench.journal())
        listed = await list_pods(bench.account, bench.journal())
    (one,) = listed.pods
    assert result.day == one.day > 0
    (said,) = [line for line in status_lines(result) if "a day" in line]
    assert said.endswith(f" at the present rate, {result.pod.token.rough(result.day)} a day")
    assert json_of(result)["day"] == result.pod.token.number(result.day)
    assert replace(result, runway_s=None).day is None


async def test_a_status_from_the_end_of_time_is_told(bench):
    far = (1 << 64) - 1
    async with bench.peer().serve():
        await bench.deploy()
        result = await pods.status(bench.account, "hello", VisitProgress(), bench.journal())
    failure = CRASH.model_copy(update={"ended_at": far, "next_try_at": far})
    events = (PodEvent(at=far, reason="Started", text="late"),)
    lines = status_lines(replace(result, failure=failure, events=events, runway_s=far))
    assert f"second {far}  Started: late" in lines


async def test_a_status_tells_when_the_provider_removes_all_its_pods(bench):
    async with bench.peer().serve() as peer:
        await bench.deploy()
        without = await pods.status(bench.account, "hello", VisitProgress(), bench.journal())
        peer.drain_at = 1_800_000_000
        result = await pods.status(bench.account, "hello", VisitProgress(), bench.journal())
    [line] = [line for line in status_lines(result) if line.startswith("leaves")]
    assert "2027-01-15 08:00:00Z" in line
    assert json_of(result)["drain_at"] == 1_800_000_000
    assert "drain_at" not in json_of(without)
    assert not [line for line in status_lines(without) if line.startswith("leaves")]


async def test_a_status_tells_when_the_last_request_came_and_what_a_day_costs(bench):
    async with bench.peer().serve() as peer:
        await bench.deploy()
        peer.last_request_at = 1_800_000_000
        result = await pods.status(bench.account, "hello", VisitProgress(), bench.journal())
        peer.last_request_at = None
        without = await pods.status(bench.account, "hello", VisitProgress(), bench.journal())
    lines = status_lines(result)
    assert "request   the last one began 2027-01-15 08:00:00Z" in lines
    assert [line for line in lines if line.startswith("money") and line.endswith(" a day")]
    assert json_of(result)["last_request_at"] == 1_800_000_000
    assert "last_request_at" not in json_of(without)
    assert not [line for line in status_lines(without) if line.startswith("request")]
    free = status_lines(replace(result, runway_s=None))
    assert "money     costs nothing at the present rate" in free


async def test_a_status_tells_what_may_still_be_started_where_that_is_bounded(bench):
    async with bench.peer().serve() as peer:
        await bench.deploy()
        without = await pods.status(bench.account, "hello", VisitProgress(), bench.journal())
        peer.room = PublisherRoom(pods=3, cpu_milli=None, memory_mib=0)
        result = await pods.status(bench.account, "hello", VisitProgress(), bench.journal())
    [line] = [line for line in status_lines(result) if line.startswith("room")]
    assert line == "room      you may still start 3 pods, 0 MiB of memory at this provider"
    assert json_of(result)["room"] == {"pods": 3, "cpu_milli": None, "memory_mib": 0}
    assert "room" not in json_of(without)
    assert not [line for line in status_lines(without) if line.startswith("room")]
