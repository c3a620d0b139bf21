# SPDX-License-Identifier: Apache-2.0
"""All pods of a key: from here, from another machine, and when some of their providers do not answer."""

import json
import shutil

import pytest

from trustedpods.protocol.errors import NetworkFailure
from trustedpods.publisher.commands.lines.pods import list_lines
from trustedpods.publisher.context import state_dir
from trustedpods.publisher.output.json_of import json_of
from trustedpods.publisher.verbs.running.listed import list_pods


async def listed(bench, **options):
    return (await list_pods(bench.account, bench.journal(), **options)).pods


async def test_nobody_has_pods_and_is_told_how_to_get_one(bench):
    result = await list_pods(bench.account, bench.journal())
    assert list_lines(result) == ["no pods; `trustedpods deploy FILE` runs one"]


async def test_a_pod_is_listed_with_what_it_does_and_costs(bench):
    async with bench.peer().serve() as peer:
        deployed = await bench.deploy()
        (pod,) = await listed(bench)
        assert (pod.name, pod.phase, pod.ready, pod.replicas) == ("hello", "serving", 1, 1)
        assert pod.urls == tuple(end.url for end in deployed.confirmed.endpoints)
        assert (pod.runway_s, pod.error) == (3600, None)
        assert pod.day == pod.left * 24
        peer.runway = None
        (pod,) = await listed(bench)
        assert pod.day is None
        result = await list_pods(bench.account, bench.journal())
        assert "no end" in list_lines(result)[1]


@pytest.mark.parametrize("said", ["hello", "another", ""])
async def test_another_machine_lists_by_the_key_and_believes_a_name_that_makes_the_channel(bench, said):
    async with bench.peer().serve() as peer:
        await bench.deploy()
        shutil.rmtree(state_dir())
        peer.name = said
        for _ in range(2):
            (pod,) = await listed(bench)
            assert (pod.name, pod.phase) == ("hello" if said == "hello" else None, "serving")
            peer.name = said if said == "another" else ""  # what was learnt is kept


async def test_a_provider_that_is_away_or_gone_stops_no_other(bench):
    bench.wait(dial_s=1)
    async with bench.peer().serve() as away:
        await bench.deploy(name="first")
    async with bench.peer(cpu_price=1000).serve():
        await bench.deploy(name="second")
        first, second = await listed(bench)
        assert (first.name, first.phase, first.error.code) == ("first", None, "network")
        assert first.left > 0
        assert (second.name, second.phase, second.error) == ("second", "serving", None)
        lines = list_lines(await list_pods(bench.account, bench.journal()))
        assert lines[-1].startswith("first: ")
        del bench.chain.rows[away.owner, away.daemon]
        result = await list_pods(bench.account, bench.journal())
    assert [pod.error and pod.error.rule for pod in result.pods] == ["no-provider", None]
    assert '"rule": "no-provider"' in json.dumps(json_of(result))


async def test_a_daemon_that_is_not_known_is_found_among_the_owner_s(bench):
    async with bench.peer().serve() as other, bench.peer(daemon=1).serve() as peer:
        del bench.chain.rows[other.owner, other.daemon]
        await bench.deploy()
        shutil.rmtree(state_dir())
        bench.chain.rows[peer.owner, 0] = other.row.__class__(
            **{name: getattr(other.row, name) for name in other.row.__slots__} | {"owner": peer.owner}
        )
        (pod,) = await listed(bench)
    assert (pod.phase, pod.daemon) == ("serving", 1)


async def test_a_closed_channel_is_listed_when_it_is_asked_for(bench):
    async with bench.peer().serve():
        await bench.deploy()
        await bench.delete()
        assert await listed(bench) == ()
        (pod,) = await listed(bench, ended=True)
    assert (pod.name, pod.phase, pod.left, pod.day) == ("hello", "ended", None, None)


async def test_a_chain_that_cannot_be_read_is_not_no_pods(bench):
    async with bench.peer().serve():
        await bench.deploy()
        bench.chain.broken = True
        with pytest.raises(NetworkFailure):
            await listed(bench)
