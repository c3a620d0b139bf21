# SPDX-License-Identifier: Apache-2.0
"""Addresses, logs and money of all nodes: documents at two daemons, one node's pod at a fake provider."""

import json
from dataclasses import replace

import pytest

from tests.publisher.verbs.networks.test_apply import Team, begun_name
from trustedpods.protocol.errors import BadInput, Refused
from trustedpods.protocol.ids import Address
from trustedpods.protocol.messages.pod import LogsBody
from trustedpods.publisher.commands.network_lines import node_log_lines, paid_lines
from trustedpods.publisher.context import state_dir
from trustedpods.publisher.core.money import parse_funding
from trustedpods.publisher.core.networks.plan import pod_name
from trustedpods.publisher.output.json_of import json_of
from trustedpods.publisher.payers.payer import SafePayer
from trustedpods.publisher.verbs.networks.whole.fund import fund
from trustedpods.publisher.verbs.networks.whole.logs import logs
from trustedpods.publisher.verbs.networks.whole.nodes import endpoints

ONE = "  nodes:\n    - {name: a, pod: pod.yaml, cluster: k1}\n"


@pytest.fixture
async def team(bench, daemons):
    return Team(bench, daemons)


async def test_where_nodes_are_reached_everybody_of_the_team_sees(team):
    bob = team.somebody()
    await team.connect()
    await team.apply(team.members((bob, "viewer")) + ONE)
    seen = await endpoints(bob, begun_name(team), team.known, team.journal)
    assert [(one.node, one.cluster, one.url) for one in seen.endpoints] == [
        ("a", "k1", "https://a.k1.example")
    ]
    assert '"url": "https://a.k1.example"' in json.dumps(json_of(seen))
    nothing = await logs(bob, begun_name(team), team.known, (), LogsBody(), team.journal)
    assert dict(nothing.nodes) == {}, "another's pods are not asked"
    with pytest.raises(BadInput, match=r"node 'a' is 0x.*'s, who alone commands its pod"):
        await logs(bob, begun_name(team), team.known, ("a",), LogsBody(), team.journal)


async def test_one_that_cannot_say_stops_no_other(team):
    await team.connect()
    await team.apply()
    async with team.bench.peer().serve():
        name = pod_name(begun_name(team), "a")
        await team.bench.deploy(name)
        found = await logs(team.alice, begun_name(team), team.known, (), LogsBody(tail=5), team.journal)
        assert found.exit_code == 6
        lines = node_log_lines(found)
        assert any(line.startswith("b: not known: ") for line in lines)
        assert any(line.startswith("a ") for line in lines)
        json.dumps(json_of(found))
        left = (await team.bench.status(name)).pod.channel.live.left
        with pytest.raises(Refused) as caught:
            await fund(team.alice, begun_name(team), team.known, parse_funding("1", ""), team.journal)
        assert caught.value.where.startswith("node b")
        assert (await team.bench.status(name)).pod.channel.live.left == left, "nothing was paid"


async def test_an_amount_is_paid_into_the_channels_of_all_nodes(team):
    await team.connect()
    await team.apply(ONE)
    name = pod_name(begun_name(team), "a")
    async with team.bench.peer().serve():
        await team.bench.deploy(name)
        left = (await team.bench.status(name)).pod.channel.live.left
        done = await fund(team.alice, begun_name(team), team.known, parse_funding("1.5", ""), team.journal)
        assert done.exit_code == 0
        with_payer = replace(
            team.alice, payer=SafePayer(Address("0x70997970C51812dc3A010C7d01b50e0d17dc79C8"))
        )
        team.bench.chain.tokens[team.alice.publisher.address] = 0
        asked = parse_funding("1.5", "")
        failed = await fund(with_payer, begun_name(team), team.known, asked, team.journal)
        assert failed.exit_code == 7
        assert not (state_dir() / "safe").exists(), "the payer was asked"
        assert done.paid == team.alice.token.units(parse_funding("1.5", "").amount, "")
        assert (await team.bench.status(name)).pod.channel.live.left == left + done.paid
        assert paid_lines(done)[-1].startswith("1.5 ")
        assert json_of(done)["paid"] == "1.5"
