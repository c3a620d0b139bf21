# SPDX-License-Identifier: Apache-2.0
"""The doctor names the one of several nodes that is silent, behind, or of another chain."""

import pytest

from tests.contracts.client.endpoints.scripted_node import ScriptedNode, served
from tests.fakes.page.operator import health
from tests.provider.test_config import GOOD
from trustedpods.protocol.errors import NoContext
from trustedpods.provider.admin.chain_nodes import chain_nodes, several_nodes
from trustedpods.provider.admin.reports.health_views import ChainNodeView, HealthRequest
from trustedpods.provider.admin.socket import serve_admin, verb_for
from trustedpods.provider.config import load_config

TOKEN = "0x" + "00" * 12 + "03" * 20


def market_node():
    return ScriptedNode(answers={"eth_getCode": "0x60", "eth_call": TOKEN})


@pytest.fixture
def nodes():
    with served(market_node(), market_node(), market_node()) as three:
        yield three


@pytest.fixture
def config(tmp_path, nodes):
    first, *others = [node.url for node in nodes]
    path = tmp_path / "provider.toml"
    text = GOOD.replace("/var/lib/tp", str(tmp_path)).replace("http://10.0.0.1:8545", first)
    path.write_text(text.replace("chain_id =", f"other_rpcs = {others}\nchain_id ="))
    return load_config(path)


async def test_nodes_that_agree(config):
    assert await chain_nodes(config) == "3 nodes serve the market"
    assert [part for part, _ in several_nodes(config)] == ["chain nodes"]


def test_one_node_has_no_line_of_its_own(tmp_path):
    path = tmp_path / "provider.toml"
    path.write_text(GOOD)
    assert several_nodes(load_config(path)) == ()


async def test_each_that_is_not_as_it_should_be_is_named(config, nodes):
    nodes[0].chain_id = 5
    nodes[1].height = 10
    with pytest.raises(NoContext) as caught:
        await chain_nodes(config)
    assert f"{nodes[0].url}: the node serves chain 5" in caught.value.what
    assert f"{nodes[1].url} is 90 blocks behind" in caught.value.what
    assert nodes[2].url not in caught.value.what


async def test_what_the_running_daemon_saw_is_told(config, nursery):
    async def answer(_request: HealthRequest):
        liar = ChainNodeView(place="http://liar", state="differs", told="answers eth_call otherwise")
        return health(chain_nodes=[liar])

    await nursery.start(serve_admin, config.admin_socket, {"health": verb_for(HealthRequest, answer)})
    with pytest.raises(NoContext, match="http://liar answers eth_call otherwise"):
        await chain_nodes(config)
