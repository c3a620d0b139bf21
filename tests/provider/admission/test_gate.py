# SPDX-License-Identifier: Apache-2.0
"""What the operator said holds until he says otherwise, whichever daemon has the books."""

import pytest

from tests.fakes.provider.world import put_empty_books
from trustedpods.protocol.errors import Refused, StoreFailure
from trustedpods.provider.admission import gate as gates
from trustedpods.provider.admission.gate import Gate
from trustedpods.provider.store import Vault, open_store
from trustedpods.provider.store.operator.rules import Rules

ONE, OTHER = "0x" + "11" * 20, "0x" + "22" * 20


@pytest.fixture
async def store(tmp_path):
    path = tmp_path / "books" / "store.db"
    await put_empty_books(path)
    async with open_store(path, Vault(bytes(32))) as opened:
        yield opened


async def test_what_was_said_holds_at_the_next_start(store):
    gate = await Gate.open(store)
    gate.check(ONE)
    await gate.deny(ONE)
    await gate.drain("a new disk")
    again = await Gate.open(store)
    assert again.rules == gate.rules == Rules("a new disk", frozenset({ONE}))
    with pytest.raises(Refused, match="a new disk"):
        again.check(OTHER)
    again.check_key(OTHER)
    await again.drain(None)
    opened = await Gate.open(store)
    opened.check(OTHER)
    with pytest.raises(Refused) as caught:
        opened.check(ONE)
    assert caught.value.rule == "denied"


async def test_until_when_pods_run_holds_at_the_next_start_and_goes_with_the_drain(store):
    gate = await Gate.open(store)
    await gate.drain("a new disk", 1_800_000_000)
    again = await Gate.open(store)
    assert again.rules == gate.rules == Rules("a new disk", drain_at=1_800_000_000)
    with pytest.raises(Refused, match="a new disk"):
        again.check(OTHER)
    await again.drain(None)
    assert (await Gate.open(store)).rules == again.rules == Rules()


async def test_what_the_books_do_not_hold_is_not_said(store):
    """The operator reads that it failed, and nobody was kept out until the next start only."""
    gate = await Gate.open(store)
    with store._engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA query_only = ON")
    with pytest.raises(StoreFailure):
        await gate.deny(ONE)
    gate.check(ONE)


async def test_the_list_is_bounded(store):
    full = Rules(denied=frozenset(f"0x{number:040x}" for number in range(gates.MAX_DENIED)))
    with pytest.raises(Refused) as caught:
        await Gate(store, full).deny(ONE)
    assert caught.value.rule == "deny-list"
