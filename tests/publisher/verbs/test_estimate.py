# SPDX-License-Identifier: Apache-2.0
"""`estimate`: what a deploy would choose from and pay, without a key, a dial or a payment."""

import json
from decimal import Decimal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.provider.caller import Caller, manifest_of
from tests.fakes.provider.world import World
from tests.publisher.core.test_select import LEASTS, PRICES, SHAPES
from tests.publisher.test_cli import cli
from trustedpods.contracts.terms import due
from trustedpods.protocol.messages.pod import DeleteBody, PodStatus
from trustedpods.protocol.messages.provider import LeastTerms, Prices
from trustedpods.protocol.messages.usage import UsageBody, UsageReport
from trustedpods.protocol.units import UnixSeconds, Usage
from trustedpods.provider.core.metering import Ceiling, Freeze, Holding, Ledger, Run, usage
from trustedpods.publisher.core.cost import Shape, cost_of, stored_hour, warm_hour
from trustedpods.publisher.core.money import HOUR_S

__all__ = ["cli"]

BEGAN = UnixSeconds(1_800_000_000)
AFTER_AN_HOUR = UnixSeconds(BEGAN + HOUR_S)


async def test_it_needs_no_key_and_nobody_who_answers(cli, bench, monkeypatch):
    """The providers have rows, and none of them runs; the key is not there."""
    monkeypatch.setenv("TRUSTEDPODS_KEY", str(bench.folder / "absent"))
    async with bench.peer().serve(), bench.peer(trust="open").serve():
        pass
    done = await cli("estimate", bench.folder / "pod.yaml")
    assert done.exit_code == 0, done.output
    size, header, row, units, *left_out = done.stdout.splitlines()
    assert size.startswith("pod hello: 0 to ")
    assert header.split()[:3] == ["PROVIDER", "CLASS", "REGION"]
    assert "sealed" in row
    assert units == "(in TPT, without traffic)"
    assert len(left_out) == 1
    assert "left out: class open" in left_out[0]


async def test_it_says_what_a_deploy_then_pays(cli, bench):
    async with bench.peer().serve():
        said = json.loads((await cli("estimate", bench.folder / "pod.yaml", "-o", "json")).stdout)
        deployed = json.loads((await cli("deploy", bench.folder / "pod.yaml", "-o", "json")).stdout)
    (offer,) = said["offers"]
    assert offer["provider"] == deployed["provider"]["name"]
    agreed = {name: deployed["price"][name] for name in ("awake_hour", "asleep_hour", "peak_day")}
    assert agreed.items() <= offer.items()
    (life,) = bench.chain.lives.values()
    said_units = bench.account.token.units(Decimal(offer["deposit"]), "deposit")
    assert life.channel.left - said_units == 1, "the grace period of a pod that stores nothing, rounded up"


async def test_where_nobody_comes_into_question_it_says_why(cli, bench):
    async with bench.peer(trust="open").serve():
        pass
    done = await cli("estimate", bench.folder / "pod.yaml")
    assert done.exit_code == 6
    assert "class open: its operator could read the pod" in done.stderr


@pytest.mark.parametrize("options", [("--deposit", "lots"), ("--provider", "0x12"), ("--trust", "blind")])
async def test_wrong_options_end_before_anything_is_asked(cli, bench, options):
    assert (await cli("estimate", bench.folder / "pod.yaml", *options)).exit_code == 2


@given(SHAPES, PRICES, LEASTS, st.integers(0, 1 << 21))
def test_a_warm_hour_costs_at_most_what_was_estimated(
    shape: Shape, prices: Prices, least: LeastTerms, held: int
):
    """An hour with one replica frozen all the time, by the provider's own meter."""
    ledger = Ledger(
        (Run("0", BEGAN, None, shape.cpu_milli, shape.memory_mib, shape.scratch_mib),),
        (Holding(BEGAN, None, max(shape.storage_mib, least.idle_mib)),),
        freezes=(Freeze("0", BEGAN, None, held),),
    )
    billed = due(usage(ledger, BEGAN, AFTER_AN_HOUR), prices)
    assert billed <= warm_hour(shape, prices, least)
    if held >= shape.memory_mib:
        assert billed == warm_hour(shape, prices, least)


async def test_it_tells_of_a_warm_hour_where_the_pod_asks_for_one(cli, bench):
    async with bench.peer().serve():
        pass
    file = bench.folder / "pod.yaml"
    assert "warm" not in (await cli("estimate", file)).stdout
    manifest = yaml.safe_load(file.read_text())
    manifest["spec"]["scale"] = {"min": 0, "max": 1, "sleep": "warm"}
    file.write_text(yaml.safe_dump(manifest))
    assert "an hour asleep but warm costs at most" in (await cli("estimate", file)).stdout
    (offer,) = json.loads((await cli("estimate", file, "-o", "json")).stdout)["offers"]
    prices = [Decimal(offer[name]) for name in ("asleep_hour", "warm_hour", "awake_hour")]
    assert prices == sorted(prices)


@given(SHAPES, PRICES, LEASTS, st.integers(0, 20))
def test_the_meter_bills_what_was_estimated(shape: Shape, prices: Prices, least: LeastTerms, replicas: int):
    """An hour with so many replicas, by the provider's own meter; storage is the same all the time."""
    awake = min(replicas, shape.max_replicas)
    most = shape.max_replicas
    ledger = Ledger(
        runs=tuple(
            Run(str(i), BEGAN, None, shape.cpu_milli, shape.memory_mib, shape.scratch_mib)
            for i in range(awake)
        ),
        holdings=(Holding(BEGAN, None, max(shape.storage_mib, least.idle_mib)),),
        ceilings=(Ceiling(BEGAN, most * shape.cpu_milli, most * shape.memory_mib, most * shape.scratch_mib),),
    )
    billed = due(usage(ledger, BEGAN, AFTER_AN_HOUR), prices)
    cost = cost_of(shape, prices, least)
    expected = {0: cost.asleep_hour, 1: cost.awake_hour, most: cost.peak_hour}
    if awake in expected:
        assert billed == expected[awake]
    else:
        assert cost.awake_hour <= billed <= cost.peak_hour


@pytest.mark.parametrize(
    ("workload", "mib"),
    [({"scale": {"max": 1}}, 8), ({"workload": "stateful", "replicas": 3, "scale": {}}, 36)],
)
async def test_a_retained_pod_is_billed_what_was_estimated(tmp_path, virtual_time, workload, mib):
    """An hour after a delete, by a whole provider's own meter: nothing but the volumes that outlive it."""
    secret = {"name": "keys", "secret": {"files": {"token": "token.txt"}}}
    kept = {"name": "data", "persistent": {"size": "8Mi", "retain": True}}
    cache = {"name": "cache", "persistent": {"size": "4Mi"}}  # of a stateful pod it outlives a delete too
    world = World(tmp_path, terms={"idle_mib": 512})
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        caller.manifest = manifest_of(volumes=[secret, kept, cache], **workload)
        await caller.pay(10**9)
        await caller.provision()
        await caller.ask("delete", DeleteBody(), PodStatus)
        before = (await caller.ask("usage", UsageBody(since=0), UsageReport)).open_usage
        world.pass_time(HOUR_S)
        after = (await caller.ask("usage", UsageBody(since=0), UsageReport)).open_usage
        billed = Usage(*(b - a for a, b in zip(before, after, strict=True)))
        prices = parts.doors.config.prices
    assert caller.manifest.outliving_mib == mib
    assert due(billed, prices) == stored_hour(mib, prices) > 0


async def test_what_outlives_a_delete_stands_below_the_offers(cli, bench):
    file = bench.folder / "pod.yaml"
    async with bench.peer().serve():
        nothing = await cli("estimate", file)
        tree = yaml.safe_load(file.read_text())
        (container,) = tree["spec"]["containers"]
        container["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
        tree["spec"]["volumes"] = [{"name": "data", "persistent": {"size": "8Gi", "retain": True}}]
        file.write_text(yaml.safe_dump(tree))
        done, said = await cli("estimate", file), await cli("estimate", file, "-o", "json")
    assert "a delete leaves" not in nothing.stdout
    (line,) = [
        line for line in done.stdout.splitlines() if line.startswith("a delete leaves 8192 MiB of vol")
    ]
    (offer,) = json.loads(said.stdout)["offers"]
    assert Decimal(offer["retained_hour"]) > 0
    assert f" at {offer['provider']}; `delete --purge`" in line
