# SPDX-License-Identifier: Apache-2.0
"""`BlockingClient` against a market in memory: from a script, a notebook's loop, several threads."""

import asyncio
import inspect
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import trio

from tests.paths import ROOT
from tests.publisher.test_cli import cli
from tests.publisher.test_client import market
from trustedpods import publisher
from trustedpods.protocol.errors import LocalProtocolError
from trustedpods.publisher import BlockingClient
from trustedpods.publisher.client import Client

__all__ = ["cli", "market"]

PAGE = (ROOT / "docs/python.md").read_text()
EXAMPLE = re.search(r"```python\n(from trustedpods\.publisher import BlockingClient.*?)```", PAGE, re.DOTALL)[
    1
]
ASYNC_ONLY = {"disconnect"}
"""Names that `Client` does not have."""


def typed_the_same(client: BlockingClient) -> tuple[publisher.DeployResult, publisher.StatusResult]:
    """Never called: the type checker reads it, and an ignore that is not needed is an error there."""
    deployed: publisher.DeployResult = client.deploy("pod.yaml", deposit="1h", patience_s=1.0)
    client.deploy("pod.yaml", depositt="1h")  # type: ignore[call-arg]
    client.status()  # type: ignore[call-arg]
    wrong = client.status("hello").confirmedd  # type: ignore[attr-defined]
    with client.port_forward("hello", ["8080"]) as forwarded, client.follow_logs("hello") as lines:
        ports: publisher.ForwardResult = forwarded
        line: publisher.FollowedLogLine = next(iter(lines))
    del wrong, ports, line
    return deployed, client.status("hello")


def public(kind):
    return {name for name in dir(kind) if not name.startswith("_")}


def test_every_verb_is_there_with_the_same_words_and_the_same_documentation():
    assert public(BlockingClient) - ASYNC_ONLY == public(Client)
    for name in public(Client):
        ours, theirs = getattr(BlockingClient, name), getattr(Client, name)
        assert inspect.signature(ours) == inspect.signature(theirs), name
        assert ours.__doc__ == theirs.__doc__, name
        assert not inspect.iscoroutinefunction(ours), name


async def in_thread(work):
    """As a script's own thread: the loop of the test goes on serving the provider."""
    return await trio.to_thread.run_sync(work)


async def test_the_example_of_the_page_runs(market, monkeypatch, capsys):
    monkeypatch.chdir(market.folder)
    async with market.peer().serve():
        await in_thread(lambda: exec(compile(EXAMPLE, "docs/python.md", "exec"), {}))
    printed = capsys.readouterr().out
    assert "http://pabc.k1.test.localhost:18080/" in printed
    assert "unknown-pod" in printed
    assert printed.endswith("released\n")


async def test_in_a_loop_of_others_it_blocks_that_cell_alone(market):
    """A notebook's cell runs in asyncio's thread, with its loop running."""

    def notebook():
        async def cell():
            client = BlockingClient()
            try:
                return client.deploy(market.folder / "pod.yaml").pod, client.status("hello").phase
            finally:
                client.disconnect()

        return asyncio.run(cell())

    async with market.peer().serve():
        assert await in_thread(notebook) == ("hello", "serving")


async def test_several_threads_call_it_at_once(market):
    def both():
        with BlockingClient() as client, ThreadPoolExecutor(4) as pool:
            client.deploy(market.folder / "pod.yaml")
            return [one.phase for one in pool.map(client.status, ["hello"] * 4)]

    async with market.peer().serve():
        assert await in_thread(both) == ["serving"] * 4


async def test_what_opening_raises_is_raised_and_no_thread_stays(market, monkeypatch):
    monkeypatch.setenv("TRUSTEDPODS_MARKET", str(market.folder / "nowhere.toml"))
    before = threading.active_count()

    def fails():
        with pytest.raises(publisher.TrustedPodsError):
            BlockingClient()
        return threading.active_count()

    assert await in_thread(fails) <= before + 1  # the one that asks


async def test_afterwards_a_call_is_an_error_and_disconnecting_again_is_none(market):
    def late():
        client = BlockingClient()
        client.disconnect()
        client.disconnect()
        with pytest.raises(LocalProtocolError, match="disconnected"):
            client.balance()
        assert not client._thread._thread.is_alive()

    await in_thread(late)


async def test_disconnecting_ends_what_waits_elsewhere(market):
    peer = market.peer()
    asked = trio.Event()

    async def never(*_):
        asked.set()
        await trio.sleep_forever()

    peer._status = never

    def waiting(client):
        with pytest.raises(LocalProtocolError, match="disconnected"):
            client.status("hello")

    async with peer.serve():
        await market.deploy()
        client = await in_thread(BlockingClient)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(in_thread, lambda: waiting(client))
            await asked.wait()
            await in_thread(client.disconnect)
