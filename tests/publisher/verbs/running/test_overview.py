# SPDX-License-Identifier: Apache-2.0
"""`overview`: what `status`, `logs` and `bill` say, in one visit that changes nothing."""

import pytest

from trustedpods.protocol.errors import Refused
from trustedpods.protocol.messages.pod import LogLines, LogsBody
from trustedpods.publisher.output.json_of import json_of
from trustedpods.publisher.results.pods import VisitProgress
from trustedpods.publisher.verbs.bill import bill
from trustedpods.publisher.verbs.pods import status
from trustedpods.publisher.verbs.running.overview import overview
from trustedpods.publisher.visits.records import pod_records


async def look(bench, name="hello"):
    return await overview(bench.account, name, LogsBody(tail=100), VisitProgress(), bench.journal())


async def test_it_says_what_the_verbs_say_and_dials_once(bench):
    async with bench.peer().serve() as peer:
        await bench.deploy()
        peer.log.clear()
        shown = await look(bench)
        asked = tuple(peer.log)
        alone = await status(bench.account, "hello", VisitProgress(), bench.journal())
        billed = await bill(bench.account, "hello", None, VisitProgress(), bench.journal())
    assert shown.status.phase == alone.phase == "serving"
    assert shown.status.events == alone.events
    assert b"".join(piece.data for piece in shown.log) == b"line one\nline two\n"
    assert (shown.bill.bill.total, shown.bill.problems) == (billed.bill.total, ())
    assert asked == ("attest", "status", "logs", "usage")
    tree = json_of(shown)
    assert (tree["phase"], tree["log"]) == ("serving", ["line one\n", "line two\n"])


async def test_it_does_not_release_a_pod_after_a_reboot(bench):
    peer = bench.peer()
    async with peer.serve():
        await bench.deploy()
    peer.reboot()
    async with peer.serve():
        peer.log.clear()
        shown = await look(bench)
    assert shown.status.phase == "awaiting-key"
    assert set(peer.log) <= {"attest", "status", "logs", "usage"}
    assert [verb for verb, _ in bench.chain.log] == ["open"]


async def test_what_a_deploy_kept_meanwhile_is_not_put_back(bench):
    """A page looks every few seconds, while others command the pod."""
    async with bench.peer().serve() as peer:
        await bench.deploy()
        attest, records = peer._attest, pod_records()

        async def deployed_meanwhile(stream, nonce):
            (channel,) = records.channels()
            record = records.load(channel)
            records.save(record.model_copy(update={"policy": "stricter"}))
            await attest(stream, nonce)

        peer._attest = deployed_meanwhile
        await look(bench)
    (channel,) = records.channels()
    assert records.load(channel).policy == "stricter"


async def test_a_provider_that_sends_lines_without_end_is_left(bench):
    async with bench.peer().serve() as peer:
        await bench.deploy()

        async def flood(request, answers):
            for _ in range(200):
                await answers.send(LogLines(container="hello", data=bytes(60_000)))
            await answers.send(LogLines(container="hello", data=b"."), final=True)

        peer._logs = flood
        shown = await look(bench)
    assert "more than 4 MiB of lines" in shown.log.text
    assert shown.bill.problems == ()


async def test_what_the_provider_does_not_tell_is_said_in_its_place(bench):
    async with bench.peer().serve() as peer:
        await bench.deploy()

        async def refuse(request, answers):
            raise Refused("no lines", rule="no-logs")

        peer._logs = peer._usage = refuse
        shown = await look(bench)
    assert (shown.log.rule, shown.bill.rule) == ("no-logs", "no-logs")
    assert "no-logs" in str(json_of(shown)["log"])


async def test_a_pod_that_is_not_there_is_refused(bench):
    async with bench.peer().serve():
        await bench.deploy()
        with pytest.raises(Refused):
            await look(bench, "nobody")
