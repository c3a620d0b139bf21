# SPDX-License-Identifier: Apache-2.0
"""Four validators of two owners on real CometBFT: what one sends the other reads, and a fifth is voted in."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.live.examples.comet_node import CometNode
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.networks.two_orgs import FILE, NETWORK, Organisation, build_image
from tests.live.observers.waiting import until
from trustedpods.localnet.network import NAMESPACES

pytestmark = [pytest.mark.live, pytest.mark.soak, pytest.mark.timeout(1200)]
"""Five nodes over two clusters, begun by two owners with a dozen commands."""

IMAGE = "cometbft"
POWER = 10
NODES = {"acme": ("one", "two"), "bolt": ("one", "two", "observer")}


class Owner(Organisation):
    """Acme or Bolt, with a half of this chain."""

    example, script, image = "cometbft-4", "validators.py", IMAGE

    def comet(self, node: str) -> CometNode:
        """The node at its replica's address of now."""
        place = NAMESPACES / str(self.pair.cluster(self.index).namespace)
        return CometNode(place, str(self.replica(self.namespace(node))["status"]["podIP"]))


@dataclass(frozen=True)
class Chain:
    """Both owners, linked, and all five nodes."""

    owners: dict[str, Owner]
    nodes: dict[str, CometNode]

    def meet(self, above: int) -> bool:
        """Whether all have the same block, higher than *above*."""
        lowest = min(node.height() for node in self.nodes.values())
        return lowest > above and len({node.block(lowest) for node in self.nodes.values()}) == 1


def linked(acme: Owner, bolt: Owner, tmp: Path) -> None:
    """Bolt's public keys go to Acme, Acme's first block to Bolt; each starts his nodes and lets others in."""
    bolt.make_files("keys", "bolt")
    given = tmp / "bolts.json"
    given.write_text((bolt.folder / "validators.json").read_text())
    acme.make_files("acme", str(given))
    acme.run("connect", NETWORK)
    acme.run("apply", FILE)
    asked = ("--for", bolt.person.address, "--as", "bolt", "--with", "genesis.json")
    invitation = bolt.receive("invitation", acme.text("invite", FILE, *asked))
    bolt.run("join", invitation, "--files", ".", "--as", "acme")
    bolt.make_files("bolt", acme.person.address)
    bolt.run("apply", FILE)
    answer = acme.receive("answer", bolt.text("export", FILE, "--for", "acme"))
    accepted = bolt.receive("accepted", acme.text("accept", answer, FILE))
    acme.run("apply", FILE)
    bolt.run("import", NETWORK, accepted)
    bolt.run("apply", FILE)


@pytest.fixture(scope="module")
def chain(pair: LiveLocalnet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    build_image(IMAGE)
    folder = tmp_path_factory.mktemp("owners")
    acme, bolt = (Owner(pair, folder / name, index) for index, name in enumerate(("acme", "bolt"), 1))
    linked(acme, bolt, folder)
    owners = {"acme": acme, "bolt": bolt}
    nodes = {f"{who}-{node}": owners[who].comet(node) for who, names in NODES.items() for node in names}
    yield Chain(owners, nodes)
    for owner in (bolt, acme):
        owner.run("delete", NETWORK, "--purge")


def test_blocks_grow_and_what_is_sent_at_one_owner_is_read_at_the_other(chain: Chain) -> None:
    until("all have a block in common", lambda: chain.meet(2))
    for number, (sender, reader) in enumerate((("acme-one", "bolt-two"), ("bolt-one", "acme-two"))):
        chain.nodes[sender].commit(f"key{number}=by {sender}".replace(" ", "-"))
        until("the other owner reads it", lambda n=number, r=reader: chain.nodes[r].value(f"key{n}") != "")
        assert chain.nodes[reader].value(f"key{number}") == f"by-{sender}"
    assert len(chain.nodes["acme-one"].validators()) == 4
    for owner in chain.owners.values():
        assert owner.run("apply", FILE)["changes"] == 0


def test_who_looked_on_becomes_the_fifth_validator(chain: Chain) -> None:
    runs = {
        (who, node): owner.runs(owner.namespace(node))
        for who, owner in chain.owners.items()
        for node in NODES[who]
    }
    observer, voter = chain.nodes["bolt-observer"], chain.nodes["acme-one"]
    key = json.loads((chain.owners["bolt"].folder / "validators.json").read_text())["observer"]
    assert key not in voter.validators()
    voter.commit(f"val=ed25519!{key}!{POWER}")
    until("it is a validator at both owners'", lambda: observer.validators().get(key) == POWER)
    assert len(voter.validators()) == 5

    def signs() -> bool:
        """Whether the chain has its signature of a block."""
        return observer.own_address() in voter.signers(voter.height() - 1)

    until("it signs blocks", signs)
    above = voter.height()
    until("heights meet", lambda: chain.meet(above))
    assert runs == {
        (who, node): chain.owners[who].runs(chain.owners[who].namespace(node)) for who, node in runs
    }, "nothing was restarted for it"


def test_what_a_validator_signed_last_is_in_no_backup(chain: Chain) -> None:
    acme = chain.owners["acme"]
    pod = str(acme.run("status", NETWORK)["nodes"]["one"]["pod"])
    refused = acme.person.run("backup", pod, "--store", "kept", "--volume", "signing-state", code=6).json
    assert "'signing-state' must not go back in time" in str(refused["error"])
