# SPDX-License-Identifier: Apache-2.0
"""`restart`: the provider starts the pod anew from its own bundle, from any machine with the key."""

import json
import shutil

import pytest

from tests.publisher.test_cli import cli
from trustedpods.protocol.errors import ExitCode, Refused, RemoteProtocolError
from trustedpods.protocol.ids import channel_hex
from trustedpods.publisher.results.pods import VisitProgress
from trustedpods.publisher.verbs.running.restart import restart
from trustedpods.publisher.verbs.running.rollback import versions
from trustedpods.publisher.visits import records

__all__ = ["cli"]


async def again(bench, agree=None):
    return await restart(bench.account, "hello", agree, VisitProgress(), bench.journal())


async def test_it_serves_again_and_nothing_is_sent(bench):
    async with bench.peer().serve() as peer:
        deployed = await bench.deploy()
        sent, bundles = dict(peer.chunks), len(peer.bundles)
        result = await again(bench)
        assert (peer.restarts, len(peer.bundles), peer.chunks) == (1, bundles, sent)
        assert result.update == "beside"
        assert result.confirmed.images == deployed.confirmed.images
        assert result.confirmed.generation > deployed.confirmed.generation
        kept = records.load(channel_hex(deployed.chosen.channel), bench.journal())
        assert kept.generation == result.confirmed.generation  # nobody else's deploy
        (version,) = (await versions(bench.account, "hello", bench.journal())).versions
        assert version.serves


async def test_what_is_done_is_said_first_and_asked(bench):
    async with bench.peer("stops").serve() as peer:
        await bench.deploy()
        plans = []

        def no(plan):
            plans.append(plan)
            return False

        with pytest.raises(Refused) as caught:
            await again(bench, no)
        assert caught.value.rule == "not-agreed"
        assert peer.restarts == 0
        assert "two must not write one volume" in plans[0].lines[0]
        await again(bench, lambda plan: True)
        assert peer.restarts == 1


async def test_another_machine_needs_the_key_alone(bench):
    async with bench.peer().serve() as peer:
        await bench.deploy()
        shutil.rmtree(bench.folder / "home")
        await again(bench)
        assert peer.restarts == 1


async def test_one_that_does_not_start_says_what_serves(bench):
    async with bench.peer().serve() as peer:
        await bench.deploy()
        peer.faults |= {"crashes", "keeps-money"}
        with pytest.raises(Refused) as caught:
            await again(bench)
    assert caught.value.rule == "start"
    assert "version 1 still serves; nothing was changed" in caught.value.hint
    assert [verb for verb, _ in bench.chain.log] == ["open"]


@pytest.mark.parametrize("fault", ["other-image", "statement-by-other-key"])
async def test_what_is_confirmed_is_checked(bench, fault):
    async with bench.peer().serve() as peer:
        await bench.deploy()
        peer.faults.add(fault)
        with pytest.raises(RemoteProtocolError):
            await again(bench)


async def test_the_command(bench, cli):
    async with bench.peer().serve() as peer:
        await bench.deploy()
        planned = await cli("restart", "hello", "--dry-run", "-o", "json")
        assert planned.exit_code == ExitCode.PLAN_HAS_CHANGES
        tree = json.loads(planned.stdout)
        assert (tree["pod"], tree["replicas"], tree["update"]) == ("hello", 1, "beside")
        assert "proven beside the 1 replica" in (await cli("restart", "hello", "--dry-run")).stdout
        assert peer.restarts == 0
        done = await cli("restart", "hello")
        assert done.exit_code == 0, done.output
        assert done.stdout.startswith("http://")
        made = json.loads((await cli("restart", "hello", "-o", "json")).stdout)
        assert made["update"] == "beside"
        assert peer.restarts == 2
        peer.phase = "stopped"
        refused = await cli("restart", "hello")
    assert refused.exit_code == ExitCode.REFUSED
    assert "not-serving" in refused.stderr
