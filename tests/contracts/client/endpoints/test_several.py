# SPDX-License-Identifier: Apache-2.0
"""A client with three nodes of which one lies, lags, hangs or is of elsewhere; each speaks real HTTP."""

import threading
import time

import pytest
import trio

from tests.contracts.client.endpoints.scripted_node import CHAIN_ID, REVERT, TRUE_WORD, ScriptedNode, served
from trustedpods.contracts.client import Chain
from trustedpods.contracts.client.client_limits import ClientLimits
from trustedpods.contracts.client.endpoints.several import DISAGREE
from trustedpods.contracts.records import Market
from trustedpods.protocol.errors import NetworkFailure, NoContext, Refused
from trustedpods.protocol.ids import Address

WHO = Address("0x" + "44" * 20)
MARKET = Market(
    chain_id=CHAIN_ID,
    payments=Address("0x" + "01" * 20),
    registry=Address("0x" + "02" * 20),
    token=Address("0x" + "03" * 20),
    finality_blocks=0,
)
NOT_KEPT = ClientLimits(head_kept_s=0, read_pauses_s=(0.01,), request_s=25)


@pytest.fixture
def nodes():
    with served(ScriptedNode(), ScriptedNode(), ScriptedNode()) as three:
        yield three


@pytest.fixture
async def chain(nodes):
    async with Chain([node.url for node in nodes], MARKET, limits=NOT_KEPT) as one:
        yield one


async def test_where_all_agree_it_is_as_with_one(nodes, chain):
    assert (await chain.head()).number == 100
    assert await chain.gas_balance(WHO) == 5
    for node in range(3):
        await settled(chain, node, "ok")
    async with Chain(nodes[0].url, MARKET) as single:
        assert await single.head() == await chain.head()
        assert single.nodes() == ()


async def test_one_that_lies_about_money_is_outvoted_and_told(nodes, chain):
    nodes[0].answers["eth_getBalance"] = hex(10**20)
    assert await chain.gas_balance(WHO) == 5
    await settled(chain, 0, "differs")
    assert "eth_getBalance otherwise" in chain.nodes()[0].told
    await chain.head()  # on which it agrees
    assert chain.nodes()[0].state == "differs"


async def settled(chain, node, state):
    """What the slowest answer shows comes behind the answer that is believed."""
    until = time.monotonic() + 10
    while chain.nodes()[node].state != state and time.monotonic() < until:
        await chain.head()
    assert chain.nodes()[node].state == state


async def test_one_that_lags_does_not_set_the_clock_back(nodes, chain):
    assert (await chain.head()).number == 100
    nodes[1].height = 40
    assert (await chain.head()).number == 100
    assert await chain.gas_balance(WHO) == 5
    await settled(chain, 1, "behind")
    assert chain.nodes()[1].told == "is 60 blocks behind"
    nodes[1].height = 100
    await settled(chain, 1, "ok")


async def test_one_that_runs_ahead_moves_nothing(nodes, chain):
    nodes[2].height = 10**6
    assert (await chain.head()).number == 100


async def test_one_that_hangs_holds_nothing_up(nodes, chain):
    nodes[0].hangs = True
    for _ in range(3):
        assert await chain.gas_balance(WHO) == 5
    assert not nodes[0].going_on.is_set()
    assert chain.nodes()[0].told == "did not answer within 1 s"


async def test_one_of_another_fork_is_outvoted(nodes, chain):
    nodes[0].fork_from = 90
    assert (await chain.head()).hash[-1] == 0
    await settled(chain, 0, "differs")


async def test_two_that_differ_in_the_newest_block_share_the_one_before(nodes, chain):
    nodes[0].fork_from, nodes[1].hangs = 99, True
    assert (await chain.head()).number == 98


async def test_one_of_another_chain_is_named(nodes, chain):
    nodes[2].chain_id = 5
    nodes[2].fork_from = 0
    with pytest.raises(NoContext, match="there is no payments contract"):  # the scripted nodes have none
        await chain.check_market()
    await settled(chain, 2, "differs")
    assert any("another chain" in one.told or "otherwise" in one.told for one in chain.nodes())


async def test_without_enough_alike_nothing_is_told(nodes, chain):
    for number, node in enumerate(nodes):
        node.answers["eth_getBalance"] = hex(number)
    with pytest.raises(NetworkFailure, match="1 of 3 chain nodes say the same") as caught:
        await chain.gas_balance(WHO)
    assert caught.value.rule == DISAGREE


async def test_two_that_are_away_are_named(nodes):
    gone = ["http://127.0.0.1:1", "http://127.0.0.1:2"]
    async with Chain([nodes[0].url, *gone], MARKET, limits=NOT_KEPT) as chain:
        with pytest.raises(NetworkFailure, match=r"does not answer") as caught:
            await chain.head()
        assert all(place in caught.value.what for place in gone)
        assert [one.state for one in chain.nodes()[1:]] == ["silent", "silent"]


async def test_with_one_enough_they_stand_in_for_each_other(nodes):
    gone = "http://127.0.0.1:1"
    async with Chain([gone, nodes[0].url], MARKET, limits=NOT_KEPT, agree=1) as chain:
        assert (await chain.head()).number == 100
        assert await chain.gas_balance(WHO) == 5


async def test_views_are_read_at_one_block_that_enough_have(nodes, chain):
    nodes[0].height = 102
    assert await chain._call(chain._token.functions.balanceOf(WHO)) == int(TRUE_WORD, 16)
    asked = [params[1] for node in nodes for method, params in node.asked if method == "eth_call"]
    assert set(asked) == {hex(100)}


async def test_a_refusal_is_one_where_enough_refuse(nodes, chain):
    for node in nodes[:2]:
        node.errors["eth_call"] = REVERT
    with pytest.raises(Refused):
        await chain._call(chain._token.functions.balanceOf(WHO))
    del nodes[0].errors["eth_call"]
    assert await chain._call(chain._token.functions.balanceOf(WHO)) == int(TRUE_WORD, 16)


async def test_the_price_of_gas_is_the_middle_one(nodes, chain):
    nodes[1].answers["eth_gasPrice"] = hex(10**18)
    nodes[2].answers["eth_gasPrice"] = hex(11)
    assert await chain.gas_price() == 11


async def test_a_transaction_goes_to_all_and_one_that_takes_it_is_enough(nodes, chain):
    for node in nodes[:2]:
        node.errors["eth_sendRawTransaction"] = {"code": -32000, "message": "already known"}
    eth = chain._node.eth
    assert await chain._node.write(eth.send_raw, b"\x01") == bytes.fromhex("ab" * 32)
    until = time.monotonic() + 10
    while time.monotonic() < until and not all(
        any(method == "eth_sendRawTransaction" for method, _ in node.asked) for node in nodes
    ):
        await chain.head()
    assert all(any(method == "eth_sendRawTransaction" for method, _ in node.asked) for node in nodes)


async def test_reads_that_come_together_ask_for_the_newest_block_once(nodes):
    limits = ClientLimits(head_kept_s=600)
    async with Chain([node.url for node in nodes], MARKET, limits=limits) as chain:
        for _ in range(5):
            await chain.gas_balance(WHO)
    assert [method for method, _ in nodes[0].asked].count("eth_blockNumber") == 1


async def test_an_answer_that_is_too_deep_to_be_read_harms_nobody(nodes, chain):
    nodes[0].raw = b'{"jsonrpc":"2.0","id":0,"result":' + b"[" * 900 + b"]" * 900 + b"}"
    assert await chain.gas_balance(WHO) == 5
    nodes[1].raw = nodes[2].raw = nodes[0].raw
    with pytest.raises(NetworkFailure):
        await chain.gas_balance(WHO)


async def test_a_newest_block_that_nobody_has_yet_is_not_the_newest(nodes, chain):
    for node in nodes:
        node.lacks_from = 100
    assert (await chain.head()).number == 99


async def test_nodes_of_long_ago_are_not_enough_while_the_others_are_silent(nodes, chain):
    assert (await chain.head()).number == 100
    nodes[2].height, nodes[0].hangs = 60, True
    with pytest.raises(NetworkFailure, match="share block 60 only, and block 100 was there") as caught:
        await chain.head()
    assert caught.value.rule == DISAGREE
    nodes[2].height = 99
    assert (await chain.head()).number == 99


async def test_a_difference_of_a_moment_is_asked_about_again(nodes):
    limits = ClientLimits(head_kept_s=600, read_pauses_s=(0.01, 0.01, 0.01))
    two = nodes[:2]
    async with Chain([node.url for node in two], MARKET, limits=limits) as chain:
        await chain.head()
        nodes[0].later["eth_getBalance"] = [hex(4), hex(4)]
        assert await chain.gas_balance(WHO) == 5


async def test_as_many_reads_and_writes_as_come_at_once_fit(nodes):
    limits = ClientLimits(reads_at_once=2, writes_at_once=2, head_kept_s=600, read_pauses_s=())
    async with Chain([node.url for node in nodes[:2]], MARKET, limits=limits) as chain:
        await chain.head()
        for node in nodes:
            node.together = threading.Barrier(4)
        async with trio.open_nursery() as nursery:
            for _ in range(2):
                nursery.start_soon(chain._node.read, chain._node.eth.balance, WHO)
                nursery.start_soon(chain._node.write, chain._node.eth.balance, WHO)


async def test_with_one_enough_a_complaint_is_not_where_another_answers(nodes):
    nodes[0].errors["eth_getBalance"] = {"code": -32000, "message": "missing trie node"}
    two = [node.url for node in nodes[:2]]
    async with Chain(two, MARKET, limits=NOT_KEPT, agree=1) as chain:
        for _ in range(5):
            assert await chain.gas_balance(WHO) == 5
        nodes[1].errors["eth_getBalance"] = nodes[0].errors["eth_getBalance"]
        with pytest.raises(NetworkFailure, match="missing trie node"):
            await chain.gas_balance(WHO)


async def test_with_one_enough_all_are_of_one_chain(nodes):
    nodes[1].chain_id, nodes[1].height = 5, 10
    urls = [*(node.url for node in nodes[:2]), "http://127.0.0.1:1"]
    async with Chain(urls, MARKET, limits=NOT_KEPT, agree=1) as chain:
        with pytest.raises(NetworkFailure, match=f"{nodes[1].url}: chain 5"):
            await chain.check_market()
        nodes[1].chain_id = CHAIN_ID
        with pytest.raises(NoContext, match="there is no payments contract"):
            await chain.check_market()


async def test_with_one_enough_a_receipt_is_asked_of_who_has_the_newest_block(nodes):
    nodes[0].height = 40
    async with Chain([node.url for node in nodes[:2]], MARKET, limits=NOT_KEPT, agree=1) as chain:
        until = time.monotonic() + 10
        while (await chain.head()).number != 100 and time.monotonic() < until:
            pass  # one that comes late is not waited for
        assert await chain._node.read(chain._node.eth.receipt, b"\x01" * 32) is None
    asked = [[method for method, _ in node.asked] for node in nodes[:2]]
    assert ["eth_getTransactionReceipt" in one for one in asked] == [False, True]
