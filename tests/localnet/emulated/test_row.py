# SPDX-License-Identifier: Apache-2.0
"""When an emulated machine's row is there, and when it leads to the daemon that the machine runs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.fakes.provider.world import World
from trustedpods.localnet.emulated import row
from trustedpods.protocol.errors import NetworkFailure
from trustedpods.protocol.net.host import open_host
from trustedpods.provider.admin.registration import NOT_YET, row_of
from trustedpods.provider.config import ProviderConfig


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path)
    monkeypatch.setattr(row, "Chain", lambda *_, **__: made.chain)
    return made


@asynccontextmanager
async def listening() -> AsyncIterator[str]:
    """A daemon's peer; where it can be dialled."""
    async with open_host(bytes(range(32)), ["/ip4/127.0.0.1/tcp/0"]) as host:
        yield host.addresses[0]


def written(world: World, config: ProviderConfig, **changes: Any) -> None:
    found = replace(row_of(config, NOT_YET), updated_at=world.chain.now, **changes)
    world.chain.rows[found.owner, found.daemon] = found


async def test_a_row_is_there_once_it_is_written(world: World) -> None:
    config = world._config()
    with pytest.raises(NetworkFailure, match="not written yet"):
        await row.row_there(config)
    written(world, config)
    assert (await row.row_there(config)).endpoint == ""


async def test_it_leads_nowhere_before_the_daemon_wrote_its_endpoint(world: World) -> None:
    config = world._config()
    written(world, config)
    with pytest.raises(NetworkFailure, match="not written its endpoint"):
        await row.leads(config)


async def test_it_leads_to_the_peer_that_answers_there(world: World) -> None:
    config = world._config()
    async with listening() as address:
        written(world, config, endpoint=address)
        assert (await row.leads(config)).endpoint == address


async def test_it_does_not_lead_to_a_daemon_of_another_boot(world: World) -> None:
    """It has other keys: the row of the boot before names another peer at the same place."""
    config = world._config()
    async with listening() as address, open_host(bytes(32), ["/ip4/127.0.0.1/tcp/0"]) as other:
        before = f"{address.rpartition('/')[0]}/{other.addresses[0].rpartition('/')[2]}"
        written(world, config, endpoint=before)
        with pytest.raises(NetworkFailure):
            await row.leads(config)


async def test_it_does_not_lead_where_nobody_answers(world: World) -> None:
    config = world._config()
    async with listening() as address:
        written(world, config, endpoint=address)
    with pytest.raises(NetworkFailure):
        await row.leads(config)


@pytest.mark.parametrize(
    ("verb", "changes", "words"),
    [("there", None, "not written yet"), ("leads", {}, "not written its endpoint")],
)
def test_it_ends_with_one_line_where_it_is_not_so(
    world: World, monkeypatch: pytest.MonkeyPatch, verb: str, changes: dict[str, str] | None, words: str
) -> None:
    config = world._config()
    monkeypatch.setattr(row, "load_config", lambda _: config)
    if changes is not None:
        written(world, config)
    with pytest.raises(SystemExit) as ended:
        row.main(verb, Path("provider.toml"))
    assert str(ended.value.code).startswith("error: ")
    assert words in str(ended.value.code)


def test_it_ends_well_where_the_row_is_there(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    config = world._config()
    monkeypatch.setattr(row, "load_config", lambda _: config)
    written(world, config)
    row.main("there", Path("provider.toml"))
    assert trio.run(row.row_there, config).daemon == config.identity.daemon
