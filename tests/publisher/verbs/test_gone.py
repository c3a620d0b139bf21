# SPDX-License-Identifier: Apache-2.0
"""`delete` and `close` of what is gone already: no error where that is sure, else one."""

import json
import shutil

import pytest

from tests.publisher.test_cli import cli
from tests.publisher.verbs.offers.test_fallback import failing
from trustedpods.protocol.errors import ExitCode, NetworkFailure, Refused
from trustedpods.protocol.ids import channel_hex
from trustedpods.publisher.output.json_of import json_of
from trustedpods.publisher.results.money import CloseProgress, GoneResult
from trustedpods.publisher.results.pods import DeleteResult
from trustedpods.publisher.verbs import money
from trustedpods.publisher.verbs.watch import WatchOptions, watch_round

__all__ = ["cli"]


async def close(bench, name="hello"):
    return await money.close(bench.account, name, False, CloseProgress(), bench.journal())


@pytest.fixture
async def gone(bench):
    """A pod that was deployed and deleted; its channel's id."""
    async with bench.peer().serve():
        result = await bench.deploy()
        await bench.delete()
    bench.chain.log.clear()
    return channel_hex(result.chosen.channel)


async def test_a_second_delete_says_that_it_was_gone(bench, gone, cli):
    result = await bench.delete()
    assert isinstance(result, GoneResult)
    assert result.money.state == "released"
    assert result.money.refund > 0
    done = await cli("delete", "hello")
    assert done.exit_code == ExitCode.DONE
    (line,) = done.stdout.splitlines()
    assert line.startswith("hello was gone already")
    assert "came back then" in line
    assert bench.chain.log == []  # nothing is sent for it


async def test_a_second_close_does_too_by_name_and_by_channel(bench, gone, cli):
    for name in ("hello", gone):
        done = await cli("close", name)
        assert done.exit_code == ExitCode.DONE, done.output
        (line,) = done.stdout.splitlines()
        assert line.startswith(f"{name} was gone already")
    told = json.loads((await cli("close", "hello", "-o", "json")).stdout)
    assert (told["gone"], told["channels"][0]["state"]) == (True, "released")
    assert bench.chain.log == []


async def test_another_machine_knows_it_from_the_chain(bench, gone):
    shutil.rmtree(bench.folder / "home")
    assert isinstance(await bench.delete(), GoneResult)
    assert (await close(bench)).gone


async def test_a_name_that_never_was_is_an_error_with_the_nearest_one(bench, gone, cli):
    for verb in ("delete", "close"):
        done = await cli(verb, "helo")
        assert done.exit_code == ExitCode.REFUSED
        assert "[unknown-pod]" in done.stderr
        assert "did you mean 'hello'?" in done.stderr


async def test_what_cannot_be_read_is_not_gone(bench, gone):
    bench.chain.broken = True
    with pytest.raises(NetworkFailure):
        await bench.delete()
    with pytest.raises(NetworkFailure):
        await close(bench)
    bench.chain.broken = False

    async def forgets(_publisher):
        return []

    bench.chain.opened_by = forgets
    with pytest.raises(Refused) as caught:
        await bench.delete()
    assert caught.value.rule == "unknown-pod"


async def test_a_provider_that_knows_no_such_pod_says_nothing_of_the_money(bench):
    async with bench.peer().serve() as peer:
        await bench.deploy()

        async def unknown(_request, _answers):
            raise Refused("no such pod", rule="unknown-pod")

        peer._delete = peer._status = unknown
        with pytest.raises(Refused) as caught:
            await bench.delete(purge=True)
    assert caught.value.rule == "unknown-pod"
    ((_, life),) = bench.chain.lives.items()
    assert life.closed is None


async def test_a_pod_that_was_deployed_again_is_deleted_and_not_gone(bench, gone):
    async with bench.peer().serve():
        await bench.deploy()
        result = await bench.delete()
    assert not isinstance(result, GoneResult)


async def test_a_second_delete_does_not_fail_with_the_provider_that_was_left(bench):
    bench.wait(release_s=0.1, silent_s=0.1, unsure_s=0.1)
    async with failing(bench, "dies") as first, bench.peer().serve():
        await bench.deploy()
        assert isinstance(await bench.delete(), DeleteResult)
        again = await bench.delete()
        assert isinstance(again, GoneResult)
        assert (again.channel.provider.owner, again.money.state) == (first.owner, "unlocking")
        assert again.money.left > 0
        channel = channel_hex(again.channel.id)
        assert again.line.startswith("hello was gone already")
        assert f"`trustedpods close {channel}`" in again.line
        assert json_of(again)["channel_open"] is True
        row = bench.chain.rows.pop((first.owner, first.daemon))
        assert (await bench.delete()).money.state == "unlocking"
        bench.chain.rows[first.owner, first.daemon] = row
        bench.chain.now += 60
        await watch_round(bench.account, WatchOptions(patience_s=0), bench.journal())
        assert (await bench.delete()).money.state == "released", "the channel that was opened last"
    assert [verb for verb, _ in bench.chain.log] == ["open", "unlock", "open", "release", "close"]


async def test_a_delete_fails_where_the_notice_is_not_known_to_be_meant_so(bench):
    """It may be there to move the channel; and a channel without one pays for what may run."""
    bench.wait(release_s=0.1, silent_s=0.1, unsure_s=0.1)
    async with failing(bench, "dies"), bench.peer().serve():
        await bench.deploy()
        await bench.delete()
        shutil.rmtree(bench.folder / "home")
        with pytest.raises(NetworkFailure):
            await bench.delete()
