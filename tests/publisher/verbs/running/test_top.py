# SPDX-License-Identifier: Apache-2.0
"""`top`: what pods hold now, out of what `status` and `list` are told."""

import json

from tests.publisher.test_cli import cli
from trustedpods.protocol.errors import ExitCode
from trustedpods.publisher.results.pods import VisitProgress
from trustedpods.publisher.verbs.running.top import top

__all__ = ["cli"]


async def look(bench, name=None):
    return (await top(bench.account, name, VisitProgress(), bench.journal())).pods


async def test_a_pod_alone_and_among_all_is_the_same(bench):
    async with bench.peer().serve() as peer:
        peer.name = "hello"
        await bench.deploy()
        (alone,) = await look(bench, "hello")
        (among,) = await look(bench)
    assert alone == among
    assert (alone.name, alone.phase, alone.ready, alone.replicas) == ("hello", "serving", 1, 1)
    assert (alone.cpu_milli, alone.memory_mib, alone.runway_s) == (100, 64, 3600)
    assert alone.day == alone.left * 24


async def test_a_provider_that_does_not_answer_hides_no_other(bench):
    bench.wait(silent_s=0.1)
    async with bench.peer().serve():
        await bench.deploy()
    (pod,) = await look(bench)
    assert (pod.replicas, pod.cpu_milli) == (None, None)
    assert pod.error is not None


async def test_the_command(bench, cli):
    async with bench.peer().serve():
        await bench.deploy()
        lines = (await cli("top")).stdout.splitlines()
        assert lines[0].split() == ["POD", "PHASE", "READY", "CPU", "MEMORY", "PER", "DAY", "LASTS"]
        assert lines[1].split()[:5] == ["hello", "serving", "1/1", "100m", "64Mi"]
        assert "LEFT" in (await cli("top", "hello", "-o", "wide")).stdout
        (pod,) = json.loads((await cli("top", "-o", "json")).stdout)["pods"]
        watched = await cli("top", "--watch")
        unknown = await cli("top", "nobody")
    assert (pod["name"], pod["cpu_milli"], pod["memory_mib"]) == ("hello", 100, 64)
    assert watched.exit_code == ExitCode.BAD_INPUT
    assert "for a terminal" in watched.output
    assert unknown.exit_code == ExitCode.REFUSED


async def test_without_pods_it_says_so(bench, cli):
    assert "no pods" in (await cli("top")).stdout
