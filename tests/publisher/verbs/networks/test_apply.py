# SPDX-License-Identifier: Apache-2.0
"""`network` at two whole daemons over the real wire: begin, apply, look, go on, delete, by a team.

Pods are remembered in a dict; chain, cluster and facade are fakes.
"""

import json
import secrets
from functools import partial
from typing import Any

import pytest
import trio
from click.testing import CliRunner

from tests.fakes.page.reader import status as a_status
from tests.publisher.conftest import ListShow
from tests.publisher.output.answers.held import hold
from tests.publisher.verbs.networks.test_applying import FakePods
from trustedpods.contracts.eip712 import address_of
from trustedpods.protocol.errors import BadInput, NoContext, Refused
from trustedpods.protocol.ids import channel_hex
from trustedpods.protocol.sealing.requests import publisher_secret
from trustedpods.publisher.cli import main
from trustedpods.publisher.commands.network_lines import node_lines, outlook_lines, plan_lines
from trustedpods.publisher.core.networks.mapping import parse_clusters
from trustedpods.publisher.core.networks.plan import pod_name
from trustedpods.publisher.delivery.bundle import make_bundle
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.market.session import Publisher
from trustedpods.publisher.output.json_of import json_of
from trustedpods.publisher.results.confirmed import ConfirmedPod
from trustedpods.publisher.state.pod_records import PodRecord
from trustedpods.publisher.verbs.networks import places
from trustedpods.publisher.verbs.networks.apply import ApplyOptions, apply, plan
from trustedpods.publisher.verbs.networks.connect import card, connect
from trustedpods.publisher.verbs.networks.delete import delete
from trustedpods.publisher.verbs.networks.files import read_card, read_network
from trustedpods.publisher.verbs.networks.status import status
from trustedpods.publisher.visits.records import pod_records

HEAD = "apiVersion: trustedpods/v1\nkind: Network\n"
NODES = "  nodes:\n    - {name: a, pod: pod.yaml, cluster: k1}\n    - {name: b, pod: pod.yaml, cluster: k2}\n"


class Team:
    """Two clusters with a daemon each; Alice has a market account, others come by their keys."""

    def __init__(self, bench, worlds):
        self.bench, self.alice, self.worlds = bench, bench.account, worlds
        self.journal = Journal(ListShow())
        self.named = [f"k{number}={world.owner}/1" for number, world in enumerate(worlds, 1)]
        self.known = parse_clusters(self.named)
        self.pods = {}

    def somebody(self):
        key = secrets.token_bytes(32)
        context = self.alice.publisher.chain
        return MarketAccount(
            self.alice.market, Publisher(address_of(key), key, publisher_secret(key), context)
        )

    def file(self, text=NODES, who=None):
        path = self.bench.folder / "network.yaml"
        founder = self.alice.publisher.address
        path.write_text(f'{HEAD}metadata: {{name: shop, founder: "{founder}"}}\nspec:\n{text}')
        return read_network(path, self.bench.folder / "cache", (who or self.alice).publisher.address)

    def members(self, *others):
        """The part of a file that gives the team: Alice, and *others* with their roles and cards."""
        lines = ["  members:", f'    - {{address: "{self.alice.publisher.address}", role: owner}}']
        for number, (who, role) in enumerate(others):
            (self.bench.folder / f"{number}.card").write_text(card(who).card + "\n")
            lines.append(f'    - {{address: "{who.publisher.address}", role: {role}, card: {number}.card}}')
        return "\n".join([*lines, ""])

    async def connect(self, *named, who=None):
        place = places.parse_place(f"{self.alice.publisher.address}/shop", named or self.named)
        return await connect(who or self.alice, place, 0.0, self.journal)

    async def apply(self, text=NODES, who=None, known=None, **more):
        who = who or self.alice
        pods = self.pods.setdefault(who.publisher.address, FakePods())
        options = ApplyOptions(
            known or self.known, pods=lambda *_: pods, said=(("FILE", "network.yaml"),), **more
        )
        return await apply(who, self.file(text, who), options, self.journal)

    async def plan(self, text=NODES, who=None, known=None):
        return await plan(who or self.alice, self.file(text, who), known or self.known, self.journal)

    def networks(self):
        return [sorted(world.cluster.networks) for world in self.worlds]


async def test_a_plan_names_the_nodes_that_are_stopped(team):
    """Of those that an apply leaves where they are; a provider that cannot say hinders no plan."""
    await team.connect()
    await team.apply()
    stopped = pod_name(begun_name(team), "a")

    async def ask(pod):
        if pod != stopped:
            raise Refused("its provider does not answer")
        return a_status("a", parked_at=1_800_000_000)

    planned = await plan(team.alice, team.file(), team.known, team.journal, ask)
    assert [(one.node, one.stopped) for one in planned.nodes] == [("a", True), ("b", False)]
    outlook: Any = json_of(planned)["outlook"]
    assert [one.get("stopped") for one in outlook] == [True, None]
    line = f"node a is stopped, and stays so: `trustedpods start {stopped}` lets it run"
    assert line in outlook_lines(planned)
    assert not any("is stopped" in text for text in outlook_lines(await team.plan()))


async def test_a_plan_keeps_a_node_of_which_terms_alone_change(team):
    """Where this client sent what runs there; of the other node nobody can say."""
    await team.connect()
    await team.apply()
    pod, channel = team.file().pods["a"], a_status("a").pod.channel.id
    keep_sent(team.alice, pod, channel_hex(channel))
    images = {name: image.digest for name, image in pod.images.items()}
    confirmed = ConfirmedPod((), images, "pod-1", 1, None, 0)

    async def ask(name):
        if name != pod.name:
            raise Refused("its provider does not answer")
        return a_status("a", confirmed=confirmed)

    manifest = team.bench.folder / "pod.yaml"
    manifest.write_text(
        manifest.read_text().replace("\n  services:", "\n  payment: {deposit: '7'}\n  services:")
    )
    planned = await plan(team.alice, team.file(), team.known, team.journal, ask)
    assert [(one.node, one.effect) for one in planned.nodes] == [("a", "keep"), ("b", "in place")]


def keep_sent(account, pod, channel):
    """What a client keeps of a pod that it deployed."""
    market, publisher = account.market.file, account.publisher
    kept = PodRecord(
        name=pod.name,
        channel=channel,
        chain_id=market.chain_id,
        payments=market.payments,
        publisher=publisher.address,
        owner=publisher.address,
        daemon=1,
        trust="open",
        policy=None,
        shape=None,
        generation=1,
    )
    pod_records().save(kept)
    pod_records().keep_bundle(channel, publisher.secret, make_bundle(pod, publisher))


@pytest.fixture
async def team(bench, daemons):
    return Team(bench, daemons)


async def test_a_network_from_its_first_document_to_its_end(team):
    begun = await team.connect()
    assert (begun.begun, begun.generation) == (True, 1)
    assert not (await team.connect()).begun, "a second connect only looks"
    planned = await team.plan()
    assert [(one.effect, one.an_hour is not None) for one in planned.nodes] == [("create", True)] * 2
    assert planned.an_hour == sum(one.an_hour for one in planned.nodes) > 0
    assert '"effect": "create"' in json.dumps(json_of(planned)["outlook"])
    assert plan_lines(planned.plan) == [
        "2 to change",
        "  node a: deploy in k1, it is new there",
        "  node b: deploy in k2, it is new there",
    ]
    applied = await team.apply()
    assert applied.urls == {"a": "https://a.k1.example", "b": "https://b.k2.example"}
    again = await team.apply()
    assert (again.plan.changes, again.generation) == (0, applied.generation)
    assert json_of(again)["changes"] == 0
    (team.bench.folder / "password.txt").write_text("another")
    updated = await team.apply()
    assert [(step.doing, step.node) for step in updated.plan.nodes] == [("update", "a"), ("update", "b")]
    with pytest.raises(Refused) as caught:
        await team.connect(team.named[0])
    assert caught.value.rule == "clusters"
    gone = await delete(
        team.alice,
        begun_name(team),
        team.known,
        0.0,
        team.journal,
        lambda _: team.pods[team.alice.publisher.address],
    )
    assert gone.removed == ("a", "b")
    assert team.pods[team.alice.publisher.address].running == {}
    with pytest.raises(Refused) as caught:
        await team.plan()
    assert caught.value.rule == "no-network"


def begun_name(team):
    return places.parse_network("shop", team.alice.publisher.address)


async def test_an_apply_that_changes_nothing_takes_no_lease_and_one_node_can_be_changed_alone(team):
    await team.connect()
    applied = await team.apply(only=("b",))
    assert [step.node for step in applied.plan.nodes] == ["b"]
    assert [step.node for step in (await team.apply()).plan.nodes] == ["a"]
    before = [(dict(one.cluster.networks), dict(one.cluster.network_leases)) for one in team.worlds]
    assert (await team.apply()).plan.changes == 0
    with pytest.raises(BadInput, match="no node 'c'"):
        await team.apply(only=("c",))
    assert before == [(one.cluster.networks, one.cluster.network_leases) for one in team.worlds]


async def test_one_cluster_is_enough_to_find_all_and_a_wrong_one_is_named(team):
    await team.connect()
    assert (await team.apply(known={"k2": team.known["k2"]})).plan.changes == 2
    swapped = {"k1": team.known["k2"]}
    with pytest.raises(Refused, match=r"cluster k1 of .* is ") as caught:
        await team.plan(known=swapped)
    assert caught.value.rule == "clusters"
    with pytest.raises(NoContext):
        await team.plan(known={"k9": team.known["k1"]}) and await plan(
            team.alice, team.file(), {}, team.journal
        )


async def test_a_team_each_with_a_role(team):
    bob, eve = team.somebody(), team.somebody()
    await team.connect()
    text = team.members((bob, "operator"), (eve, "viewer")) + NODES
    assert (await team.apply(text)).plan.changes == 4
    planned = [await team.plan(text, who) for who in (team.alice, bob, eve)]
    assert {one.plan for one in planned} == {planned[0].plan}
    assert planned[0].plan.changes == 0
    more = text + "    - {name: c, pod: pod.yaml, cluster: k1}\n"
    with pytest.raises(Refused) as caught:
        await team.apply(more, eve)
    assert (caught.value.rule, caught.value.exit_code) == ("role", 6)
    assert [step.node for step in (await team.apply(more, bob)).plan.nodes] == ["c"]
    assert team.pods[bob.publisher.address].running == {"c": "k1"}
    with pytest.raises(Refused) as caught:
        await team.apply(text)
    assert (caught.value.rule, caught.value.where) == ("publisher", "node c")
    with pytest.raises(Refused, match="only owners change members"):
        await team.apply(team.members((bob, "owner"), (eve, "viewer")) + NODES, bob)
    without_eve = (
        team.members((bob, "operator")) + more.partition("  nodes:")[1] + more.partition("  nodes:")[2]
    )
    await team.apply(without_eve)
    with pytest.raises(Refused) as caught:
        await team.plan(without_eve, eve)
    assert caught.value.rule == "member"
    with pytest.raises(Refused):
        await delete(bob, begun_name(team), team.known, 0.0, team.journal)
    assert all(len(one) == 1 for one in team.networks())


async def test_status_tells_what_the_document_and_providers_say(team):
    bob = team.somebody()
    await team.connect()
    await team.apply(team.members((bob, "viewer")) + NODES)
    seen = await status(bob, begun_name(team), team.known, team.journal)
    assert seen.exit_code == 0, "another member's pods are not asked about"
    assert [node.phase for node in seen.nodes.values()] == ["started", "started"]
    assert "https://a.k1.example" in "\n".join(node_lines(seen))
    own = await status(team.alice, begun_name(team), team.known, team.journal)
    assert own.exit_code == 6, "no pod was really deployed, and the chain says so"
    assert "unknown-pod" in "\n".join(node_lines(own))
    assert json.dumps(json_of(own))
    assert own.nodes["a"].pod == pod_name(begun_name(team), "a")


async def test_what_is_wrong_is_said_before_anybody_is_asked(team):
    bob = team.somebody()
    for text, told in (
        (
            team.members((bob, "viewer")).replace("0.card", "none.card") + NODES,
            "members[1].card: no such file",
        ),
        (
            team.members((bob, "viewer")).replace(bob.publisher.address, address_of(b"7" * 32)) + NODES,
            "is the card of",
        ),
    ):
        with pytest.raises(BadInput) as caught:
            team.file(text)
        assert told in str(caught.value)
    (team.bench.folder / "bad.card").write_text("trustedpods-card:AAAA")
    with pytest.raises(BadInput, match="is no member's card"):
        read_card(team.bench.folder / "bad.card", bob.publisher.address, "here")


async def test_the_digest_is_of_what_the_pod_is_made_of_wherever_it_lies(team):
    before = team.file().nodes[0].digest
    (team.bench.folder / "moved.tar").write_bytes((team.bench.folder / "hello.tar").read_bytes())
    pod = team.bench.folder / "pod.yaml"
    pod.write_text(pod.read_text().replace("hello.tar", "moved.tar"))
    assert team.file().nodes[0].digest == before
    team.bench.write_image((b"other" * 1000,))
    pod.write_text(pod.read_text().replace("moved.tar", "hello.tar"))
    assert team.file().nodes[0].digest != before


async def test_the_command_line_has_exit_codes_and_remembers_only_what_is_asked(team, monkeypatch):
    key = team.bench.folder / "key"
    key.write_text(team.bench.key.hex())
    key.chmod(0o600)
    monkeypatch.setenv("TRUSTEDPODS_KEY", str(key))
    monkeypatch.setattr("trustedpods.publisher.context.load_market", lambda _: team.alice.market.file)
    monkeypatch.setattr("trustedpods.publisher.market.market.Chain", lambda *_, **__: team.bench.chain)
    team.file()
    file = str(team.bench.folder / "network.yaml")

    async def run(*words, code=0):
        result = await trio.to_thread.run_sync(partial(CliRunner().invoke, main, ["network", *words]))
        hold(["network", *map(str, words)], result.stdout)
        assert result.exit_code == code, result.output
        return result

    named = [part for one in team.named for part in ("--cluster", one)]
    unnamed = await run("plan", file, code=4)
    assert all(f"k1={one.split('=')[1]}" in unnamed.stderr for one in team.named)
    assert "began, in k1=" in (await run("connect", "shop", *named)).stdout
    assert "2 to change" in (await run("plan", file, *named, code=10)).stdout
    assert json.loads((await run("status", "shop", *named, "-o", "json")).stdout)["nodes"] == {}
    assert (await run("endpoints", "shop", *named)).stdout == "no node has an address\n"
    assert (await run("logs", "shop", *named)).stdout == ""
    await run("logs", "shop", "a", *named, code=2)
    assert "0 TPT in all" in (await run("fund", "shop", "1", *named)).stdout
    assert (await run("card")).stdout == card(team.alice).card + "\n"
    await run("plan", str(team.bench.folder / "absent.yaml"), *named, code=2)
    assert not (team.bench.folder / "home/.config").exists()
    assert (await run("delete", "shop", *named)).stdout == "its documents are gone\n"
    await run("status", "shop", *named, code=6)
    again = (await run("delete", "shop", *named)).stdout
    assert again.startswith("nothing is left to delete: k1, k2 keep nothing of network shop of 0x")


def test_every_verb_has_help_with_an_example():
    for verb in ("card", "connect", "plan", "apply", "status", "delete", "endpoints", "logs", "fund", "exec"):
        result = CliRunner().invoke(main, ["network", verb, "--help"])
        assert f"trustedpods network {verb}" in result.output


@pytest.mark.parametrize("given", [("--store", "kept"), ("--empty", "db")])
def test_what_lost_nodes_begin_with_is_not_taken_without_the_word_that_they_come_anew(given):
    result = CliRunner().invoke(main, ["network", "apply", "network.yaml", *given])
    assert result.exit_code == 2
    assert f"{given[0]} is for nodes of lost clusters: give it with --replace-lost" in result.stderr
