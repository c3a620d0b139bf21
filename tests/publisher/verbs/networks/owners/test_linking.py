# SPDX-License-Identifier: Apache-2.0
"""Two owners, each with a network, a key, and a cluster with a whole daemon: invited, joined, accepted, left.

Chain, cluster and facade are fakes, pods are remembered in a dict; what the two send each other is text.
"""

import hashlib
import json
from functools import partial

import pytest
import trio
from click.testing import CliRunner

from tests.publisher.output.answers.held import hold
from tests.publisher.verbs.networks.test_apply import Team
from tests.publisher.verbs.networks.test_applying import FakePods
from trustedpods.protocol.errors import BadInput, Refused
from trustedpods.protocol.messages.pod import Endpoint
from trustedpods.protocol.networks.members import NetworkName
from trustedpods.publisher.cli import main
from trustedpods.publisher.core.networks.mapping import parse_clusters
from trustedpods.publisher.core.networks.planning.outlook import HELD
from trustedpods.publisher.output.json_of import json_of
from trustedpods.publisher.verbs.networks.apply import ApplyOptions, apply, plan
from trustedpods.publisher.verbs.networks.applying import ConfirmedNode
from trustedpods.publisher.verbs.networks.connect import connect
from trustedpods.publisher.verbs.networks.files import read_network
from trustedpods.publisher.verbs.networks.owners import linking
from trustedpods.publisher.verbs.networks.owners.exporting import export
from trustedpods.publisher.verbs.networks.owners.linking import LinkOptions
from trustedpods.publisher.verbs.networks.owners.texts import export_of, invitation_of
from trustedpods.publisher.verbs.networks.places import NetworkPlace
from trustedpods.publisher.verbs.networks.status import status

POD = """
apiVersion: trustedpods/v1
kind: Pod
metadata: {name: node}
spec:
  trust: open
  network: {linkedNodes: 4}
  containers:
    - name: app
      image: oci-archive:hello.tar
      resources: {requests: {cpu: 100m, memory: 64Mi}}
  services:
    - {name: p2p, expose: nodePort, ports: [{port: 30303}]}
  scale: {min: 1, max: 1}
"""

GENESIS = b'{"chainId": 7}'


class Pods(FakePods):
    """Whose nodes are published at one address, each at its own port."""

    def __init__(self, address):
        super().__init__()
        self.address, self.ports = address, {}

    async def deploy(self, node, cluster, book):
        await super().deploy(node, cluster, book)
        url = f"tcp://{self.address}:{self.ports.get(node, 31000)}"
        return ConfirmedNode([Endpoint(service="p2p", port=30303, url=url)], b"")


class Side:
    """One of the two: a key, a cluster, a folder, pods."""

    def __init__(self, team, account, number, folder, genesis=GENESIS):
        self.team, self.account, self.folder = team, account, folder
        folder.mkdir()
        self.journal = team.journal
        self.known = parse_clusters([f"k{number}={team.worlds[number - 1].owner}/1"])
        self.pods = Pods(f"203.0.113.{number}")
        self.place = NetworkPlace(account.publisher.address, "ring", self.known)
        (folder / "genesis.json").write_bytes(genesis)
        (folder / "hello.tar").write_bytes((team.bench.folder / "hello.tar").read_bytes())
        (folder / "pod.yaml").write_text(POD)
        digest = hashlib.sha256(genesis).hexdigest()
        (folder / "ring.yaml").write_text(
            "apiVersion: trustedpods/v1\nkind: Network\nmetadata: {name: ring}\nspec:\n"
            f"  sharedFiles:\n    - {{name: genesis.json, file: genesis.json, sha256: {digest}}}\n"
            f"  nodes:\n    - {{name: one, pod: pod.yaml, cluster: k{number}}}\n"
        )

    @property
    def file(self):
        return read_network(self.folder / "ring.yaml", self.folder / "cache", self.account.publisher.address)

    async def apply(self):
        options = ApplyOptions(self.known, pods=lambda *_: self.pods)
        return await apply(self.account, self.file, options, self.journal)

    async def invite(self, guest):
        who = guest.account.publisher.address
        said, seconds = LinkOptions("guest"), 3600
        return await linking.invite(
            self.account, self.place, self.file, who, seconds, ["genesis.json"], said, self.journal
        )

    async def join(self, text, file=True, folder=None):
        given = invitation_of(text.encode(), "invitation")
        read = self.file if file else None
        said = LinkOptions("host")
        return await linking.join(self.account, self.place, given, read, folder, said, self.journal)

    async def export(self, alias=None):
        return (await export(self.account, self.file, self.known, alias, (), self.journal)).document

    async def take(self, text, alias=None):
        given = export_of(text.encode(), "document")
        return await linking.import_export(self.account, self.place, given, LinkOptions(alias), self.journal)

    async def accept(self, text):
        given = export_of(text.encode(), "answer")
        return await linking.accept(self.account, self.place, self.file, given, LinkOptions(), self.journal)

    async def leave(self, alias):
        return await linking.leave(self.account, self.place, alias, LinkOptions(), self.journal)

    async def states(self):
        name = NetworkName(self.account.publisher.address, "ring")
        found = await status(self.account, name, self.known, self.journal)
        return {alias: link.state for alias, link in found.links.items()}

    def called(self):
        """Whom the node's provider was told of last, and where."""
        return {one.node: one.url for one in self.pods.books["one"].entries}


@pytest.fixture
async def sides(bench, daemons, tmp_path):
    team = Team(bench, daemons)
    host, guest = (
        Side(team, account, number, tmp_path / f"side{number}")
        for number, account in ((1, team.alice), (2, team.somebody()))
    )
    await connect(host.account, host.place, 0.0, host.journal)
    return host, guest


async def test_two_owners_from_an_invitation_to_its_end(sides):
    host, guest = sides
    with pytest.raises(Refused, match=r"one/p2p:30303") as caught:
        await host.invite(guest)
    assert caught.value.rule == "not-known"
    await host.apply()
    invited = await host.invite(guest)
    assert await host.states() == {"guest": "invited, no answer yet"}
    joined = await guest.join(invited.document)
    assert joined.came == ("host-one",)
    await guest.apply()
    assert guest.called() == {"host-one": "tcp://203.0.113.1:31000"}
    assert await guest.states() == {"host": "waiting for host to accept"}
    await host.apply()
    assert host.called() == {}, "who is not accepted is not let in"
    accepted = await host.accept(await guest.export("host"))
    assert accepted.came == ("guest-one",)
    deployed = [act for act in host.pods.acts if act[0] == "deploy"]
    await host.apply()
    assert host.called() == {"guest-one": "tcp://203.0.113.2:31000"}
    assert [act for act in host.pods.acts if act[0] == "deploy"] == deployed, (
        "its node was told, not restarted"
    )
    await guest.take(accepted.document)
    assert (await host.states(), await guest.states()) == ({"guest": "accepted"}, {"host": "accepted"})

    left = await host.leave("guest")
    assert left.gone == ("guest-one",)
    await host.apply()
    assert (host.called(), await host.states()) == ({}, {"guest": "left"})
    await guest.take(left.document)
    await guest.apply()
    assert (guest.called(), await guest.states()) == ({}, {"host": "left"})


async def test_a_node_that_moves_is_followed_by_a_newer_export_alone(sides):
    host, guest = sides
    await host.apply()
    first = await host.export()
    await connect(guest.account, guest.place, 0.0, guest.journal)
    await guest.take(first, "host")
    await guest.apply()
    host.pods.ports["one"] = 31999
    (host.folder / "pod.yaml").write_text(POD.replace("100m", "200m"))
    await host.apply()
    brought = await guest.take(await host.export())
    assert brought.came == ("host-one",)
    await guest.apply()
    assert guest.called() == {"host-one": "tcp://203.0.113.1:31999"}
    with pytest.raises(Refused) as caught:
        await guest.take(first)
    assert caught.value.rule == "export"
    assert guest.called() == {"host-one": "tcp://203.0.113.1:31999"}
    assert '"host-one": ["tcp://203.0.113.1:31999"]' in json.dumps(json_of(brought))


async def test_a_node_that_its_owner_names_no_more_stops_nobody_but_who_calls_it(sides):
    host, guest = sides
    two = (host.folder / "ring.yaml").read_text()
    (host.folder / "ring.yaml").write_text(two + "    - {name: two, pod: pod.yaml, cluster: k1}\n")
    await host.apply()
    await guest.join((await host.invite(guest)).document)
    owner = host.account.publisher.address
    caller = POD.replace("{linkedNodes: 4}", "{nodes: [host-two]}")
    (guest.folder / "caller.yaml").write_text(caller)
    file = (guest.folder / "ring.yaml").read_text()
    partner = f'  externalNodes:\n    - {{name: host-two, owner: "{owner}"}}\n'
    calling = "    - {name: caller, pod: caller.yaml, cluster: k2}\n"
    (guest.folder / "ring.yaml").write_text(file + calling + partner)
    await guest.apply()
    assert sorted(guest.pods.running) == ["caller", "one"]
    (host.folder / "ring.yaml").write_text(two)
    await host.apply()
    await host.accept(await guest.export("host"))
    assert (await guest.take(await host.export())).gone == ("host-two",)

    before = [act for act in guest.pods.acts if act[1] == "caller"]
    assert (await guest.apply()).plan.changes == 0, "what runs goes on with what it has"
    assert guest.called() == {"host-one": "tcp://203.0.113.1:31000"}
    (guest.folder / "caller.yaml").write_text(caller.replace("100m", "200m"))
    (guest.folder / "pod.yaml").write_text(POD.replace("100m", "200m"))
    later = "    - {name: later, pod: pod.yaml, cluster: k2, dependsOn: [caller]}\n"
    (guest.folder / "ring.yaml").write_text(file + calling + later + partner)
    with pytest.raises(BadInput, match="has told of no node 'host-two'") as caught:
        await guest.apply()
    assert "host-one" in caught.value.hint
    assert [act for act in guest.pods.acts if act[1] == "caller"] == before
    assert sorted(guest.pods.running) == ["caller", "later", "one"]
    planned = await plan(guest.account, guest.file, guest.known, guest.journal)
    assert (planned.plan.changes, {one.node: one.why for one in planned.nodes}["caller"]) == (0, HELD)


async def test_another_genesis_is_refused_before_anything_begins(sides, tmp_path):
    host, guest = sides
    await host.apply()
    invited = await host.invite(guest)
    other = Side(guest.team, guest.account, 2, tmp_path / "other", genesis=b'{"chainId": 8}')
    with pytest.raises(Refused) as caught:
        await other.join(invited.document)
    assert caught.value.rule == "genesis"
    assert other.team.networks()[1] == [], "no network was begun"
    joined = await other.join(invited.document, file=False, folder=tmp_path / "came")
    assert [(tmp_path / "came" / "genesis.json").read_bytes()] == [GENESIS]
    assert joined.files == (str(tmp_path / "came" / "genesis.json"),)
    with pytest.raises(Refused) as caught:
        await other.apply()
    assert (caught.value.rule, other.pods.running) == ("genesis", {})
    with pytest.raises(BadInput, match="another file"):
        await other.join(invited.document, file=False, folder=other.folder)


async def test_only_owners_speak_to_others_and_strangers_are_not_heard(sides):
    host, guest = sides
    await host.apply()
    invited = await host.invite(guest)
    stranger = Side(host.team, host.team.somebody(), 2, host.folder.parent / "stranger")
    with pytest.raises(Refused, match="the invitation is for"):
        await stranger.join(invited.document)
    await guest.join(invited.document)
    await guest.apply()
    with pytest.raises(Refused, match=r"own team|not of this"):
        await guest.take(await guest.export())
    with pytest.raises(Refused) as caught:
        await host.take(await guest.export("host"))
    assert caught.value.rule == "invitation"


async def test_the_command_line_exports_invites_and_says_what_is_none(sides, monkeypatch):
    host, guest = sides
    key = host.folder / "key"
    key.write_text(host.team.bench.key.hex())
    key.chmod(0o600)
    monkeypatch.setenv("TRUSTEDPODS_KEY", str(key))
    monkeypatch.setattr("trustedpods.publisher.context.load_market", lambda _: host.account.market.file)
    monkeypatch.setattr("trustedpods.publisher.market.market.Chain", lambda *_, **__: host.team.bench.chain)
    await host.apply()

    async def run(*words, code=0, given=None):
        invoke = partial(CliRunner().invoke, main, ["network", *words], input=given)
        result = await trio.to_thread.run_sync(invoke)
        hold(["network", *map(str, words)], result.stdout)
        assert result.exit_code == code, result.output
        return result

    named, file = ("--cluster", host.team.named[0]), str(host.folder / "ring.yaml")
    who = guest.account.publisher.address
    shown = await run("invite", file, "--for", who, "--as", "bolt", "--with", "genesis.json", *named)
    assert (await guest.join(shown.stdout)).came == ("host-one",)
    await guest.apply()
    (host.folder / "answer").write_text(await guest.export("host"))
    taken = await run("accept", str(host.folder / "answer"), file, *named)
    assert (await guest.take(taken.stdout)).link.state == "accepted"
    told = await run("import", "ring", "-", *named, given=await guest.export("host"))
    assert f"bolt ({who}): accepted" in told.stdout
    assert f"bolt  accepted  {who}  bolt-one" in (await run("status", "ring", *named, code=6)).stdout
    whole = json.loads((await run("export", file, *named, "-o", "json")).stdout)
    assert (whole["nodes"], list(whole["shared"]), whole["to"]) == (["one"], ["genesis.json"], None)
    await run("leave", "ring", "bolt", *named)
    await run("leave", "ring", "nobody", *named, code=2)
    await run("join", str(host.folder / "absent"), code=2)
    for wrong in ("", "trustedpods-export:", "trustedpods-export:AAAA", "trustedpods-invitation:?", "\0"):
        said = await run("import", "ring", "-", *named, code=2, given=wrong)
        assert "Traceback" not in said.output
    await run("import", "ring", file, "--as", "No-Alias", *named, code=2)


def test_every_verb_has_help_with_an_example():
    for verb in ("export", "import", "invite", "join", "accept", "leave"):
        result = CliRunner().invoke(main, ["network", verb, "--help"])
        assert f"network {verb}" in result.output.partition("Example")[2]
