# SPDX-License-Identifier: Apache-2.0
"""`events` and `usage`, and the forms in which they and lists are printed."""

import json

import yaml

from tests.publisher.test_cli import cli
from tests.publisher.verbs.test_audit import claim
from trustedpods.protocol.units import Usage

__all__ = ["cli"]


async def test_events_are_the_history_alone(bench, cli):
    async with bench.peer().serve():
        await bench.deploy()
        text = (await cli("events", "hello")).stdout
        tree = json.loads((await cli("events", "hello", "-o", "json")).stdout)
    assert len(text.splitlines()) == 1
    assert "Started: evil" in text
    assert "\x1b" not in text
    assert [event["reason"] for event in tree["pod_events"]] == ["Started"]


async def test_usage_by_day_with_a_month_at_this_rate(bench, cli):
    async with bench.peer().serve() as peer:
        await bench.deploy()
        claim(bench, peer, 60, Usage(cpu_core_ms=6000))
        done = await cli("usage", "hello")
        tree = json.loads((await cli("usage", "hello", "-o", "json")).stdout)
    assert done.exit_code == 0, done.output
    assert "30 days at this rate" in done.stdout
    (day,) = tree["days"]
    assert day["begins"] % 86_400 == 0
    assert day["amount"] == tree["total"]
    assert float(tree["month"]) > float(tree["total"]) > 0


async def test_usage_before_the_first_period(bench, cli):
    async with bench.peer().serve():
        await bench.deploy()
        tree = json.loads((await cli("usage", "hello", "-o", "json")).stdout)
    assert (tree["days"], tree["month"]) == ([], None)


async def test_yaml_is_the_same_object_also_after_an_error(bench, cli):
    async with bench.peer().serve():
        await bench.deploy()
        as_json = json.loads((await cli("list", "-o", "json")).stdout)
        as_yaml = yaml.safe_load((await cli("list", "-o", "yaml")).stdout)
        failed = await cli("status", "nobody", "-o", "yaml")
    assert as_yaml["pods"] == as_json["pods"]
    assert failed.exit_code == 6
    assert yaml.safe_load(failed.stdout)["error"]["rule"] == "unknown-pod"


async def test_wide_tables_have_names_in_full(bench, cli):
    async with bench.peer().serve() as peer:
        result = await bench.deploy()
        channel = f"{result.chosen.channel:048x}"
        narrow, wide = [(await cli("list", *words)).stdout for words in ((), ("-o", "wide"))]
        balance = (await cli("balance", "-o", "wide")).stdout
    assert peer.owner not in narrow
    assert f"{peer.owner}/0" in wide
    assert channel in wide
    assert channel in balance
