# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import pytest

from tests.contracts.test_rows import ROW
from trustedpods.protocol.errors import LocalProtocolError, Refused


@pytest.fixture
async def row(chain, funded):
    owner = await funded()
    return owner, replace(ROW, owner=owner.address, token=chain.market.token, daemon=1)


async def test_what_is_registered_is_listed(chain, row):
    owner, mine = row
    other = replace(mine, daemon=2, trust="open", tee=[], region="us", endpoint="/ip4/1.2.3.4/tcp/5")
    await chain.register(owner.key, mine)
    await chain.register(owner.key, other)
    now = (await chain.head()).time
    listed = await chain.providers()
    assert [replace(one, updated_at=0) for one in listed] == [mine, other]
    assert all(now - 60 <= one.updated_at <= now for one in listed)
    await chain.remove(owner.key, 1)
    assert [one.daemon for one in await chain.providers()] == [2]
    with pytest.raises(Refused) as gone:
        await chain.remove(owner.key, 1)
    assert gone.value.rule == "Unknown"


async def test_rows_are_replaced_and_repriced(chain, row):
    owner, mine = row
    await chain.register(owner.key, mine)
    dearer = mine.prices.model_copy(update={"cpu_core_ms": 77})
    await chain.set_prices(owner.key, 1, dearer, mine.least)
    assert (await chain.providers())[0].prices == dearer
    await chain.register(owner.key, replace(mine, region="moon"))
    (listed,) = await chain.providers()
    assert (listed.region, listed.prices) == ("moon", mine.prices)


async def test_operators_move_rows_and_keep_them_fresh(chain, row, funded, pass_time):
    owner, mine = row
    operator = await funded()
    await chain.register(owner.key, mine)
    with pytest.raises(Refused) as stranger:
        await chain.heartbeat(operator.key, owner.address, 1)
    await chain.set_operator(owner.key, operator.address)
    (before,) = await chain.providers()
    pass_time(100)
    await chain.heartbeat(operator.key, owner.address, 1)
    (after,) = await chain.providers()
    await chain.update_row(operator.key, owner.address, 1, b"q" * 32, "/ip4/9.9.9.9/tcp/9")
    (moved,) = await chain.providers()
    assert stranger.value.rule == "Denied"
    assert after.updated_at >= before.updated_at + 100
    assert (moved.profile_digest, moved.endpoint) == (b"q" * 32, "/ip4/9.9.9.9/tcp/9")


async def test_a_key_registers_its_own_rows_only(chain, row, funded):
    stranger = await funded()
    with pytest.raises(LocalProtocolError):
        await chain.register(stranger.key, row[1])
