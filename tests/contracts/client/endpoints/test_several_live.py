# SPDX-License-Identifier: Apache-2.0
"""Money on a real chain through three nodes of which one lies about everything."""

import secrets

import pytest

from tests.contracts.client.endpoints.scripted_node import ScriptedNode, served
from tests.contracts.conftest import GAS, new_party
from tests.contracts.node.anvil import FUNDED_KEY
from tests.contracts.node.faulty_proxy import faulty_proxy
from trustedpods.contracts.client import Chain
from trustedpods.protocol.ids import PodRef

pytestmark = pytest.mark.live

DEPOSIT = 1_000_000


async def test_a_channel_is_paid_topped_up_and_read_as_it_is(anvil, onchain, terms):
    publisher, owner, meter = new_party(), new_party(), new_party()
    anvil.rpc("anvil_setBalance", publisher.address, hex(GAS))
    await onchain.mint(FUNDED_KEY, publisher.address, 10 * DEPOSIT)
    ref = PodRef(owner.address, publisher.address, secrets.token_bytes(32))
    liar = ScriptedNode(
        height=10**6, answers={"eth_gasPrice": hex(10**30), "eth_getTransactionReceipt": None}
    )
    with faulty_proxy(anvil.url) as second, served(liar):
        urls = [liar.url, anvil.url, second.url]
        async with Chain(urls, onchain.market) as chain:
            await chain.check_market()
            await chain.open_with_permit(publisher.key, ref, meter.address, terms, DEPOSIT)
            await chain.top_up(publisher.key, owner.address, ref.channel, 7)
            found = await chain.channel(owner.address, ref.channel)
            assert found == await onchain.channel(owner.address, ref.channel)
            assert found.left == DEPOSIT + 7
            assert (await chain.channel_events(owner.address, ref.channel)).topped_up == 7
            assert await chain.gas_price() <= 2 * await onchain.gas_price()
            assert await chain.head() == await onchain.head()
            assert chain.nodes()[0].state == "differs"
