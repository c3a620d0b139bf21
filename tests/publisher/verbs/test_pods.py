# SPDX-License-Identifier: Apache-2.0
"""Verbs on a pod that exists, over real libp2p."""

import pytest

from tests.publisher.conftest import TOKEN
from trustedpods.protocol.errors import BadInput, NetworkFailure, Refused, RemoteProtocolError
from trustedpods.protocol.messages.pod import LogsBody
from trustedpods.publisher.core.money import Funding, parse_funding
from trustedpods.publisher.verbs import money, pods
from trustedpods.publisher.verbs.bill import bill


def channel_of(bench):
    ((_, life),) = bench.chain.lives.items()
    return life.channel


async def test_status_says_what_deploy_said(bench):
    async with bench.peer().serve():
        deployed = await bench.deploy()
        journal = bench.journal()
        await pods.status(bench.account, "hello", journal)
    for field in ("endpoints", "images", "terms", "provider", "channel"):
        seen, said = journal.result[field], deployed[field]
        if field == "provider":
            said = {name: value for name, value in said.items() if name != "region"}
            seen = {name: value for name, value in seen.items() if name != "region"}
        assert seen == said
    assert journal.result["phase"] == "serving"
    assert journal.result["runway_s"] == 3600


async def test_a_statement_by_another_key_is_refused(bench):
    async with bench.peer().serve() as peer:
        await bench.deploy()
        peer.statement = peer.statement.model_copy(update={"signature": bytes(64)})
        with pytest.raises(RemoteProtocolError):
            await pods.status(bench.account, "hello", bench.journal())


async def test_no_such_pod(bench):
    async with bench.peer().serve():
        with pytest.raises(Refused) as caught:
            await pods.status(bench.account, "hello", bench.journal())
    assert caught.value.rule == "unknown-pod"


async def test_a_chain_that_cannot_be_read_is_not_no_pod(bench):
    async with bench.peer().serve():
        await bench.deploy()
        bench.chain.broken = True
        with pytest.raises(NetworkFailure):
            await pods.status(bench.account, "hello", bench.journal())


async def test_logs(bench):
    pieces = []
    async with bench.peer().serve():
        await bench.deploy()
        await pods.logs(bench.account, "hello", LogsBody(), pieces.append, bench.journal())
    assert [(piece.container, piece.data) for piece in pieces] == [
        ("hello", b"line one\n"),
        ("hello", b"line two\n"),
    ]


async def test_delete_reports_the_refund(bench):
    before = bench.chain.tokens[bench.address]
    async with bench.peer().serve():
        await bench.deploy(funding=Funding(seconds=3600))
        journal = bench.journal()
        await pods.delete(bench.account, "hello", journal)
        assert bench.chain.tokens[bench.address] == before
        assert journal.result["money"]["state"] == "released"
        await pods.status(bench.account, "hello", bench.journal())  # of the ended pod
    assert bench.last.result["channel_open"] is False


async def test_fund_by_amount_by_cap_and_by_size(bench):
    async with bench.peer().serve():
        await bench.deploy()
    before = channel_of(bench).left
    await money.fund(bench.account, "hello", parse_funding("2.5", "x"), None, bench.journal())
    assert channel_of(bench).left == before + 2_500_000
    cap = channel_of(bench).terms.cap_per_day
    assert money.top_up_amount(bench.account, channel_of(bench), Funding(seconds=86400), None) == cap
    with pytest.raises(BadInput):
        money.top_up_amount(bench.account, channel_of(bench), parse_funding("1" + "0" * 25, "x"), None)


async def test_close_gives_notice_then_closes(bench):
    async with bench.peer().serve():
        await bench.deploy()
    before = bench.chain.tokens[bench.address]
    left = channel_of(bench).left
    for _ in range(2):
        await money.close(bench.account, "hello", False, bench.journal())
        assert bench.last.result["channels"][0]["state"] == "unlocking"
    bench.chain.pass_time(61)
    await money.close(bench.account, "hello", False, bench.journal())
    outcome = bench.last.result["channels"][0]
    assert (outcome["state"], outcome["refund"]) == ("closed", TOKEN.number(left))
    assert bench.chain.tokens[bench.address] == before + left
    assert [verb for verb, _ in bench.chain.log] == ["open", "unlock", "close"]


async def test_balance_names_every_channel(bench):
    async with bench.peer().serve():
        await bench.deploy()
        await bench.deploy(name="second")
        await pods.delete(bench.account, "second", bench.journal())
    journal = bench.journal()
    await money.balance(bench.account, journal)
    states = {entry["name"]: entry["state"] for entry in journal.result["channels"]}
    assert states == {"hello": "open", "second": "closed"}
    assert journal.result["balance_units"] == str(bench.chain.tokens[bench.address])


async def test_the_bill_of_a_pod_without_usage(bench):
    async with bench.peer().serve():
        await bench.deploy()
        journal = bench.journal()
        await bill(bench.account, "hello", None, journal)
    assert journal.result["total_units"] == "0"
    assert journal.result["claimed_units"] == "0"
    assert journal.result["problems"] == []
