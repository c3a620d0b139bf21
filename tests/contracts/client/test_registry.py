# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import pytest
import trio

from tests.contracts.conftest import GAS, new_party
from tests.contracts.node import many_rows
from tests.contracts.node.anvil import FUNDED_KEY, running_anvil
from tests.contracts.node.faulty_proxy import faulty_proxy
from tests.contracts.test_registry_rows import ROW
from trustedpods.contracts.client import Chain
from trustedpods.contracts.deploy import deploy
from trustedpods.contracts.registry_rows import RowFilter
from trustedpods.protocol.errors import BadInput, LocalProtocolError, Refused
from trustedpods.protocol.ids import keccak256


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


@pytest.fixture(scope="module")
def crowd():
    """A market with more rows than one page has, and more in a region than one batch has."""
    with running_anvil(*many_rows.OPTIONS) as anvil:
        market = trio.run(deploy, anvil.url, FUNDED_KEY, 6)
        many_rows.fill(anvil, market, CROWD)
        yield anvil, market


CROWD = 1_230
MINE = [number for number in range(CROWD) if number % many_rows.REGIONS == 7]


@pytest.mark.live
async def test_thousands_are_listed_in_pages_of_one_block(crowd):
    anvil, market = crowd
    async with Chain(anvil.url, market) as chain:
        listed = await chain.providers()
        assert len(listed) == CROWD
        assert {row.owner: row.region for row in listed} == {
            many_rows.owner_of(number): many_rows.region_of(number) for number in range(CROWD)
        }
        like = replace(ROW, daemon=7, token=market.token, region=listed[9].region)
        assert replace(listed[9], owner=ROW.owner, updated_at=0) == like


@pytest.mark.live
async def test_a_filter_runs_on_the_node(crowd):
    anvil, market = crowd
    async with Chain(anvil.url, market) as chain:
        found = await chain.select(RowFilter(region="r-7", trust="sealed", tee=("tdx",), token=market.token))
        assert {row.owner for row in found} == {many_rows.owner_of(number) for number in MINE}
        assert len(found) == len(MINE)
        assert await chain.select(RowFilter(region="r-7", trust="open")) == []
        assert await chain.select(RowFilter(not_before=2**32 - 1)) == []
        cheap = ROW.prices.model_copy(update={"cpu_core_ms": 0})
        assert await chain.select(RowFilter(ceiling=cheap)) == []
        assert len(await chain.select(RowFilter(ceiling=ROW.prices))) == CROWD


@pytest.mark.live
async def test_nodes_that_allow_little_are_asked_for_less(crowd):
    """One that runs out of gas beyond 200 rows, and serves no batches."""
    anvil, market = crowd
    page = "0x" + keccak256(b"pageRaw(uint256,uint256,bool)")[:4].hex()

    def refuse(request):
        data = request["params"][0].get("data", "") if request["method"] == "eth_call" else ""
        return (-32000, "out of gas") if data.startswith(page) and int(data[74:138], 16) > 200 else None

    with faulty_proxy(anvil.url) as proxy:
        proxy.refuse = refuse
        async with Chain(proxy.url, market) as chain:
            assert len(await chain.providers()) == CROWD
            assert len(await chain.select(RowFilter(region="r-7"))) == len(MINE)


@pytest.mark.live
async def test_one_row_is_read_or_not_there(onchain, anvil):
    owner = new_party()
    anvil.rpc("anvil_setBalance", owner.address, hex(GAS))
    row = replace(ROW, owner=owner.address, token=onchain.market.token, daemon=3)
    assert await onchain.provider(owner.address, 3) is None
    await onchain.register(owner.key, row)
    assert replace(await onchain.provider(owner.address, 3), updated_at=0) == row


async def test_filters_that_no_row_can_match_are_refused():
    with pytest.raises(BadInput, match="sgx"):
        RowFilter(tee=("sgx",)).words()
    with pytest.raises(BadInput, match="region"):
        RowFilter(region="a-region-too-long").words()
