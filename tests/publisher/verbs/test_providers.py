# SPDX-License-Identifier: Apache-2.0
"""A market most of whose rows are dead: who answers is known at once, and the others cost a bounded time."""

from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import trio

from trustedpods.protocol.attestation.verdict import Verdict
from trustedpods.protocol.net import open_host
from trustedpods.publisher.commands.lines.providers import provider_lines
from trustedpods.publisher.market.profiles import LISTED_AT_ONCE, proof_of
from trustedpods.publisher.output.json_of import json_of
from trustedpods.publisher.pod import read_pod
from trustedpods.publisher.results.errors import ErrorReport
from trustedpods.publisher.results.providers import ListProgress
from trustedpods.publisher.verbs.estimate import estimate
from trustedpods.publisher.verbs.providers import ListOptions, list_providers

DEAD = 3 * LISTED_AT_ONCE
MOST_S = 10
"""Far more than an honest provider needs, and less than a silent one is given."""


class Silence:
    """Takes every connection, and says nothing."""

    def __init__(self):
        self.port, self.open, self.most = None, 0, 0

    async def hold(self, stream):
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            while await stream.receive_some():
                pass
        finally:
            self.open -= 1


@asynccontextmanager
async def silence():
    made = Silence()
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, made.hold, 0)
        made.port = listeners[0].socket.getsockname()[1]
        yield made
        nursery.cancel_scope.cancel()


def put_dead_rows(chain, peer, port):
    """Older than the honest one's row, and cheaper."""
    alive = chain.rows[peer.owner, 0]
    end = alive.endpoint.rpartition("/p2p/")[2]
    for number in range(1, DEAD + 1):
        row = replace(
            alive,
            daemon=number,
            endpoint=f"/ip4/127.0.0.1/tcp/{port}/p2p/{end}",
            updated_at=alive.updated_at - 1,
        )
        chain.rows[row.owner, number] = row
    return row


async def test_who_answers_is_known_while_the_dead_are_still_waited_for(bench):
    progress = ListProgress()
    assert progress.result() is None
    async with silence() as silent, bench.peer().serve() as peer, trio.open_nursery() as nursery:
        put_dead_rows(bench.chain, peer, silent.port)
        nursery.start_soon(list_providers, bench.account.market, ListOptions(attest=True), None, progress)
        with trio.fail_after(MOST_S):
            while progress.result() is None or not heard(progress) or silent.open < LISTED_AT_ONCE:
                await trio.sleep(0.05)
        assert heard(progress) == [0]
        assert len(progress.result().providers) == DEAD + 1
        assert silent.most == LISTED_AT_ONCE
        nursery.cancel_scope.cancel()


def heard(progress):
    return [one.provider.daemon for one in progress.result().providers if isinstance(one.proof, Verdict)]


async def test_a_silent_one_is_given_up(bench):
    async with silence() as silent, bench.peer().serve() as peer:
        dead = put_dead_rows(bench.chain, peer, silent.port)
        async with open_host(None, []) as host:
            error = await proof_of(host, dead, bench.account.market.policy(dead.trust), within_s=0.2)
    assert ErrorReport.of(error).code == "network"
    assert error.rule == "timeout"


async def test_without_proof_nobody_is_asked(bench):
    progress = ListProgress()
    async with bench.peer().serve() as peer:
        listed = await list_providers(bench.account.market, ListOptions(), progress=progress)
    assert peer.log == []
    assert progress.result() == listed


def put_rows(bench, peer):
    """Beside the honest row a dearer one that says class open, which its peer cannot prove, and elsewhere."""
    row = bench.chain.rows[peer.owner, 0]
    prices = row.prices.model_copy(update={"cpu_core_ms": 2 * row.prices.cpu_core_ms})
    bench.chain.rows[peer.owner, 1] = replace(row, daemon=1, prices=prices, trust="open", region="another")


@pytest.mark.parametrize(
    ("options", "daemons"),
    [
        (ListOptions(), [0, 1]),
        (ListOptions(trust="open"), [1]),
        (ListOptions(trust="sealed"), [0]),
        (ListOptions(region="another"), [1]),
        (ListOptions(region="nowhere"), []),
        (ListOptions(tee="sev-snp"), [0, 1]),
        (ListOptions(tee="tdx"), []),
        (ListOptions(order="region"), [1, 0]),
    ],
)
async def test_rows_that_are_meant_in_the_order_that_is_meant(bench, options, daemons):
    async with bench.peer().serve() as peer:
        put_rows(bench, peer)
        listed = await list_providers(bench.account.market, options)
    assert [one.provider.daemon for one in listed.providers] == daemons


async def test_with_a_pod_each_row_says_what_an_hour_costs_or_why_not(bench):
    pod = read_pod(bench.folder / "pod.yaml", bench.folder / "cache")
    async with bench.peer().serve() as peer:
        put_rows(bench, peer)
        listed = await list_providers(bench.account.market, ListOptions(order="answer"), pod)
        estimated = await estimate(bench.account.market, pod)
    first, second = listed.providers
    assert (first.provider.daemon, first.unfit) == (0, None)
    assert first.answered_ms is not None
    assert (first.awake_hour, first.asleep_hour) == (
        estimated.offers[0].cost.awake_hour,
        estimated.offers[0].cost.asleep_hour,
    )
    assert (second.awake_hour, second.asleep_hour) == (None, None)
    assert second.unfit
    rows = provider_lines(listed)
    assert rows[0].split()[9:12] == ["ASLEEP/H", "AWAKE/H", "ANSWER"]
    assert f"{first.answered_ms} ms" in rows[1]
    told = json_of(listed)["providers"][0]
    assert told["awake_hour"] == listed.token.number(first.awake_hour)
