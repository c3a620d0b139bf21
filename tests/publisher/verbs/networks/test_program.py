# SPDX-License-Identifier: Apache-2.0
"""Networks as another program uses them: the page's example and every other method, at two whole daemons."""

import re

import pytest
import trio

from tests.paths import ROOT
from tests.publisher.test_cli import cli
from tests.publisher.verbs.networks.test_apply import HEAD, NODES, team
from tests.publisher.verbs.networks.test_applying import FakePods
from trustedpods import publisher
from trustedpods.publisher import network_client
from trustedpods.publisher.verbs.networks.connect import card

__all__ = ["cli", "network_client", "team"]

PAGE = (ROOT / "docs/python.md").read_text()
EXAMPLE = next(one for one in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "network_" in one)


@pytest.fixture
def clusters(team, cli, monkeypatch):
    """The team's clusters as a program names them; its pods are remembered in a dict."""
    pods = FakePods()
    monkeypatch.setattr("trustedpods.publisher.verbs.networks.apply.MarketPods", lambda *_: pods)
    monkeypatch.setattr("trustedpods.publisher.verbs.networks.delete.MarketPods", lambda *_: pods)
    monkeypatch.chdir(team.bench.folder)
    (team.bench.folder / "network.yaml").write_text(f"{HEAD}metadata: {{name: shop}}\nspec:\n{NODES}")
    return dict(one.split("=") for one in team.named)


async def test_the_example_of_the_page_runs(clusters, capsys):
    names = {"__name__": "example"}
    exec(compile(EXAMPLE, "docs/python.md", "exec"), names)
    async with publisher.connect() as client:
        await names["look_after"](client, clusters)
    told = capsys.readouterr().out.splitlines()
    assert told[:3] == ["True 1", "a k1 create", "b k2 create"]
    assert told[3].endswith("['started', 'started']")
    assert told[4] == "['network connect', 'network apply']"


async def test_a_team_its_nodes_and_its_end(team, clusters):
    bob = team.somebody()
    (team.bench.folder / "bob.card").write_text(card(bob).card)
    who = bob.publisher.address
    one = {"k1": clusters["k1"]}
    async with publisher.connect() as client:
        assert client.network_card().card == card(team.alice).card
        assert (await client.network_connect("shop", clusters)).begun
        assert {one.name for one in (await client.network_list(one)).clusters["k1"]} == {"shop"}
        await client.network_apply("network.yaml", one, only=["a"])
        added = await client.member_add("shop", one, who, "bob.card", "viewer")
        assert added.members[who] == "viewer"
        assert (await client.member_role("shop", one, who, "operator")).members[who] == "operator"
        assert who not in (await client.member_remove("shop", one, who)).members
        assert [node.node for node in (await client.network_endpoints("shop", one)).endpoints] == ["a"]
        logs = await client.network_logs("shop", one, tail=5)
        assert {node: one.rule for node, one in logs.nodes.items()} == {"a": "unknown-pod"}
        with pytest.raises(publisher.TrustedPodsError, match="node a"):
            await client.network_fund("shop", one, "1h")
        with pytest.raises(publisher.TrustedPodsError, match="10000"):
            await client.network_logs("shop", one, tail=0)
        assert (await client.network_delete("shop", one)).removed == ("a",)
        assert not (await client.network_delete("shop", one)).found
        assert (await client.network_connect("shop", clusters)).begun
        lost = await client.network_lost("shop", clusters, ["k2"], "a lake")
        assert dict(lost.lost) == {"k2": "a lake"}


async def test_a_program_without_trio_blocks_until_it_is_done(clusters):
    def program():
        return publisher.run(lambda client: client.network_connect("shop", clusters))

    assert (await trio.to_thread.run_sync(program)).begun
    with pytest.raises(publisher.TrustedPodsError, match="no cluster"):
        await trio.to_thread.run_sync(
            lambda: publisher.run(lambda client: client.network_plan("network.yaml", {}))
        )
