# SPDX-License-Identifier: Apache-2.0
"""What the daemon does with its books by itself: what is old is migrated or goes, fees are read."""

import socket

import pytest
import trio
from sqlalchemy import create_engine

from tests.fakes.provider.records import pod_record
from tests.fakes.provider.world import World
from trustedpods.protocol.units import Usage
from trustedpods.provider.billing.pruning import FIRST_AFTER_S
from trustedpods.provider.core.metering import Run
from trustedpods.provider.core.pod import Phase
from trustedpods.provider.core.settlement import Cut
from trustedpods.provider.daemon.opened_books import OPENED_WITHIN_S, opened_books
from trustedpods.provider.daemon.own_facade import NO_FACADE
from trustedpods.provider.store import claims, ledger, pods
from trustedpods.provider.store.claims import ClaimState
from trustedpods.provider.store.engines.migrating import migrate
from trustedpods.provider.store.operator import earnings

LONG_AGO = pod_record(phase=Phase.GONE, changed_at=2)
ROOT = b"r" * 32


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def save_old_books(tx, transaction):
    """An ended pod's run, and its claim that was final before anybody read fees."""
    pods.save(tx, LONG_AGO)
    ledger.record_run(tx, LONG_AGO.channel, "tp", Run("u", 0, 1, 100, 64, 0))
    cut = Cut(LONG_AGO.channel, 0, 1, Usage(), release=True)
    claims.save_claim(tx, ROOT, b"s", [cut], [[]], {LONG_AGO.channel: "tp"}, 1)
    claims.mark_claim(tx, ROOT, ClaimState.FINAL, transaction)


async def test_what_is_old_goes_and_missing_fees_are_read(world, virtual_time):
    async with world.run() as (parts, _):
        store, key = parts.doors.store, world.operator_key
        receipt = await world.chain.set_payout(key, parts.doors.owner)
        await store.write(save_old_books, receipt.tx_hash)
        assert await store.read(earnings.unknown_fees) == 1
        with trio.fail_after(2 * FIRST_AFTER_S):
            while (await store.read(ledger.load_ledger, LONG_AGO.channel, 0)).runs:
                await trio.sleep(FIRST_AFTER_S / 10)
        assert await store.read(earnings.unknown_fees) == 0


async def test_systemd_waits_for_as_long_as_a_migration_goes_on(world, tmp_path, monkeypatch):
    books = tmp_path / "books" / "store.db"
    books.parent.mkdir(mode=0o700)
    engine = create_engine(f"sqlite:///{books}")
    with engine.begin() as connection:
        migrate(connection, "0014")
    engine.dispose()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        async with opened_books(world._config(), world.keys, world.cluster, NO_FACADE):
            pass
        asked = f"EXTEND_TIMEOUT_USEC={int(OPENED_WITHIN_S * 1_000_000)}"
        first, of_the_copy = (systemd.recv(4096).decode().splitlines()[0] for _ in range(2))
    assert (first, of_the_copy) == (asked, asked)
