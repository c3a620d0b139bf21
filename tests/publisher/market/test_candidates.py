# SPDX-License-Identifier: Apache-2.0
"""Rows that cost nothing and point at nothing cost a publisher seconds, and nothing the next time."""

from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest
import trio

from trustedpods.protocol.errors import NetworkFailure, Refused
from trustedpods.protocol.ids import address_from_bytes
from trustedpods.publisher.core.dialling import HEAD_START_S
from trustedpods.publisher.market import attempts, candidates

SILENT = 100
FEW = 5
START_S = 3.0
"""A pod needs some seconds, in which it shows who is silent and who is slow."""


@dataclass
class Accepted:
    """Connections that silent rows were dialled by."""

    count: int = 0


@asynccontextmanager
async def silent_rows(bench, like, count):
    """Rows cheaper than all, which point at a listener that accepts and says nothing."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1", backlog=1024)
    port = listener.socket.getsockname()[1]
    peer = like.row.endpoint.rpartition("/")[2]
    free = like.prices.model_copy(update=dict.fromkeys(("cpu_core_ms", "memory_mib_s"), 0))
    for number in range(count):
        row = replace(
            like.row,
            owner=address_from_bytes(number.to_bytes(20, "big")),
            prices=free,
            endpoint=f"/ip4/127.0.0.1/tcp/{port}/p2p/{peer}",
        )
        bench.chain.rows[row.owner, row.daemon] = row
    accepted = Accepted()

    async def accept(_):
        accepted.count += 1
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, accept, [listener])
        yield accepted
        nursery.cancel_scope.cancel()


async def test_silent_rows_cost_seconds_once(bench, virtual_time):
    async with bench.peer().serve() as honest, silent_rows(bench, honest, SILENT):
        honest.start_s = START_S
        began = trio.current_time()
        result = await bench.deploy()
        assert result.chosen.provider.owner == honest.owner
        assert trio.current_time() - began < 20
        began = trio.current_time()
        result = await bench.deploy(name="second")
        assert result.chosen.provider.owner == honest.owner
        assert trio.current_time() - began < START_S + HEAD_START_S


async def test_a_few_silent_rows_cost_one_head_start_and_nothing_the_next_time(bench, virtual_time):
    """All of them are dialled at once, and the wait is theirs together: counted in pauses alone."""
    async with bench.peer().serve() as honest:
        honest.start_s = START_S
        began = trio.current_time()
        await bench.deploy(name="alone")
        alone = trio.current_time() - began
        async with silent_rows(bench, honest, FEW) as accepted:
            began = trio.current_time()
            await bench.deploy(name="first")
            assert accepted.count == FEW
            assert trio.current_time() - began <= alone + HEAD_START_S
            began = trio.current_time()
            result = await bench.deploy(name="second")
            assert trio.current_time() - began <= alone
            assert result.chosen.provider.owner == honest.owner


async def test_a_better_one_that_is_a_little_slower_is_taken(bench, virtual_time):
    """Silence is not forgiven, slowness is: within its head start the cheaper one is the one."""
    async with bench.peer("slow", cpu_price=1).serve() as cheap, bench.peer(cpu_price=9000).serve():
        result = await bench.deploy()
        assert result.chosen.provider.owner == cheap.owner


async def test_those_that_failed_come_last_the_next_time(bench, virtual_time):
    bench.wait(select_s=30.0)
    async with bench.peer().serve() as honest:
        row = bench.chain.rows.pop((honest.owner, 0))
        async with silent_rows(bench, honest, 5):
            with pytest.raises(NetworkFailure):
                await bench.deploy()
            bench.chain.rows[honest.owner, 0] = row
            began = trio.current_time()
            result = await bench.deploy(name="second")
            assert result.chosen.provider.owner == honest.owner
            assert trio.current_time() - began < candidates.WAVE_S
            assert bench.last.show.warnings == []


async def test_the_whole_search_has_a_bound_and_few_words(bench, virtual_time):
    bench.wait(select_s=11.0)
    async with bench.peer().serve() as honest:
        bench.chain.rows.clear()
        async with silent_rows(bench, honest, 60):
            began = trio.current_time()
            with pytest.raises(NetworkFailure) as caught:
                await bench.deploy()
            assert caught.value.rule == "select-time"
            assert trio.current_time() - began < 15
    assert len(bench.last.show.warnings) <= attempts.MAX_WARNINGS + 1


async def test_a_provider_that_refuses_is_not_remembered_as_silent(bench):
    async with bench.peer("full").serve() as full, bench.peer(cpu_price=9000).serve() as other:
        for name in ("first", "second"):
            result = await bench.deploy(name=name)
            assert result.chosen.provider.owner == other.owner
            assert "capacity-cpu" in bench.last.show.warnings[0]
    assert full.log == ["attest", "admit"] * 2


async def test_where_several_refuse_the_last_word_counts_them(bench):
    async with bench.peer("full").serve(), bench.peer("full", cpu_price=9000).serve():
        with pytest.raises(Refused) as caught:
            await bench.deploy()
    assert caught.value.rule == "capacity-cpu"
    assert "none of the 2 providers that were asked takes the pod" in caught.value.what
