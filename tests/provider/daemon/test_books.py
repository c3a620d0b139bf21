# SPDX-License-Identifier: Apache-2.0
"""What the daemon does with its books by itself, without being asked: what is old goes, fees are read."""

import pytest
import trio

from tests.fakes.provider.records import pod_record
from tests.fakes.provider.world import World
from trustedpods.protocol.units import Usage
from trustedpods.provider.billing.pruning import FIRST_AFTER_S
from trustedpods.provider.core.metering import Run
from trustedpods.provider.core.pod import Phase
from trustedpods.provider.core.settlement import Cut
from trustedpods.provider.store import claims, ledger, pods
from trustedpods.provider.store.claims import ClaimState
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
