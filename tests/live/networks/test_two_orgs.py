# SPDX-License-Identifier: Apache-2.0
"""Two owners with a cluster each run one chain on real geth: invited, joined, accepted, left."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.live.examples.chain_node import ChainNode, have_same
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.networks.two_orgs import FILE, NETWORK, Organisation, build_image, is_paid, pay
from tests.live.observers.waiting import until

pytestmark = [pytest.mark.live, pytest.mark.timeout(1200)]
"""The first test brings two clusters and three nodes up, by a dozen commands."""

FEW_BLOCKS = 3
"""Blocks come each two seconds: by then a node that is let in has them, as new blocks are told at once."""


@dataclass(frozen=True)
class TwoOrganisations:
    """Acme, whose two nodes sign, and Bolt, whose node follows; linked, with all nodes running."""

    acme: Organisation
    bolt: Organisation
    spaces: dict[str, str]
    """Namespaces of Acme's nodes."""

    place: str
    """Namespace of Bolt's node."""

    @property
    def boot(self) -> ChainNode:
        return self.acme.node(self.spaces["boot"])

    @property
    def guest(self) -> ChainNode:
        return self.bolt.node(self.place)

    def acmes_runs(self) -> dict[str, object]:
        """What is equal as long as nothing of Acme's restarts."""
        return {name: self.acme.runs(space) for name, space in self.spaces.items()}

    def goes_on(self) -> None:
        """Blocks grow, and both owners have the same."""
        before = self.boot.told_height()
        until("heights meet", lambda: have_same([self.boot, self.guest], before))


def begin(pair: LiveLocalnet, folder: Path) -> tuple[Organisation, Organisation]:
    """Acme's chain runs, and Bolt has nothing but a key and an empty home."""
    build_image()
    acme, bolt = (Organisation(pair, folder / name, index) for index, name in enumerate(("acme", "bolt"), 1))
    acme.make_files("acme")
    acme.run("connect", NETWORK)
    acme.run("apply", FILE)
    return acme, bolt


def join(acme: Organisation, bolt: Organisation) -> None:
    """Bolt takes Acme's invitation, and brings his node up."""
    asked = ("--for", bolt.person.address, "--as", "bolt", "--with", "genesis.json")
    invitation = bolt.receive("invitation", acme.text("invite", FILE, *asked))
    assert acme.link("bolt") == "invited, no answer yet"
    came = bolt.run("join", invitation, "--files", ".", "--as", "acme")
    assert set(came["came"]) == {"acme-boot", "acme-node"}
    bolt.make_files("bolt", acme.person.address)
    bolt.run("apply", FILE)


def accept(acme: Organisation, bolt: Organisation) -> None:
    """Acme lets Bolt's node in."""
    answer = acme.receive("answer", bolt.text("export", FILE, "--for", "acme"))
    accepted = bolt.receive("accepted", acme.text("accept", answer, FILE))
    acme.run("apply", FILE)
    bolt.run("import", NETWORK, accepted)
    assert (acme.link("bolt"), bolt.link("acme")) == ("accepted", "accepted")


@pytest.fixture(scope="module")
def two(pair: LiveLocalnet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoOrganisations]:
    """Linked step by step; removed at the end, by each owner alone."""
    acme, bolt = begin(pair, tmp_path_factory.mktemp("owners"))
    spaces = {name: acme.namespace(name) for name in ("boot", "node")}
    boot = acme.node(spaces["boot"])
    until("Acme's two nodes sign in turn", lambda: boot.height() > FEW_BLOCKS)
    join(acme, bolt)
    made = TwoOrganisations(acme, bolt, spaces, bolt.namespace("node"))
    before, runs = made.boot.told_height(), made.acmes_runs()
    assert bolt.link("acme") == "waiting for acme to accept"
    until("blocks grow at Acme's", lambda: made.boot.height() > before + FEW_BLOCKS)
    assert made.guest.told_height() == 0, "nobody was let in who is not accepted"
    accept(acme, bolt)
    made.goes_on()
    assert made.acmes_runs() == runs, "Acme's nodes were told, and not restarted"
    yield made
    for owner in (bolt, acme):
        owner.run("delete", NETWORK, "--purge")


def test_what_is_sent_at_one_owner_is_read_at_the_other(two: TwoOrganisations) -> None:
    key, ways = two.acme.signer(), ((two.guest, two.boot), (two.boot, two.guest))
    for nonce, (sender, reader) in enumerate(ways):
        sent = pay(sender, key, nonce)
        until("the other owner has it in a block", lambda reader=reader, sent=sent: is_paid(reader, sent))


def test_a_node_that_restarts_touches_nobody_of_the_other_owner(two: TwoOrganisations) -> None:
    runs, before = two.acmes_runs(), two.bolt.runs(two.place)
    words = ("-n", two.place, "delete", "pod", "pod-0", "--wait=true")
    two.bolt.pair.kubectl(*words, index=two.bolt.index)

    def is_back() -> bool:
        found = two.bolt.replica(two.place)
        started = found.get("status", {}).get("containerStatuses", [])
        return bool(started) and started[0]["ready"] and found["metadata"]["uid"] != before[0]

    until("another replica serves", is_back)
    two.goes_on()
    assert two.acmes_runs() == runs
    for owner in (two.acme, two.bolt):
        assert owner.run("apply", FILE)["changes"] == 0


def test_who_leaves_is_let_in_no_more(two: TwoOrganisations) -> None:
    """Last in its file: the two are not linked afterwards."""
    runs = two.acmes_runs()
    left = two.bolt.receive("left", two.acme.text("leave", NETWORK, "bolt"))
    two.acme.run("apply", FILE)

    def closed() -> bool:
        """Whether Acme's blocks grow, and nothing of them comes to Bolt meanwhile."""
        last, there = two.guest.told_height(), two.boot.told_height()
        until("blocks grow at Acme's", lambda: two.boot.height() > there + FEW_BLOCKS)
        return two.guest.told_height() == last < there

    until("what was open is closed, also to who was connected", closed)
    two.bolt.run("import", NETWORK, left)
    assert (two.acme.link("bolt"), two.bolt.link("acme")) == ("left", "left")
    assert two.acmes_runs() == runs
