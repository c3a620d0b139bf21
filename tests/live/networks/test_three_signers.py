# SPDX-License-Identifier: Apache-2.0
"""Three owners sign with one key on real drand: TLS by keys that are pinned, and one of them may go."""

import ssl
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.live.localnet_fixture import LiveLocalnet
from tests.live.networks.three_signers import FILE, NETWORK, Round, Signer, at_once, link
from tests.live.observers.waiting import until

pytestmark = [pytest.mark.live, pytest.mark.timeout(1200)]
"""Two clusters, three nodes of three containers, each begun twice, and a key that they make: over 150 s."""

PLACES = {"acme": 1, "bolt": 2, "cato": 2}
"""Clusters: the kernel has inotify instances for two beside what else runs. So two owners share one."""

MORE_ROUNDS = 3


@dataclass(frozen=True)
class ThreeSigners:
    """All three, linked, with a key that none of them has whole."""

    owners: dict[str, Signer]
    spaces: dict[str, str]

    def same(self, number: int | None = None, *names: str) -> Round | None:
        """A round, or the first owner's latest, where all of *names* have it alike; None where not."""
        first, *others = names or tuple(self.owners)
        found = self.owners[first].round(self.spaces[first], number)
        if found is None:
            return None
        told = {self.owners[who].round(self.spaces[who], found.number) for who in others}
        return found if told == {found} else None


@pytest.fixture(scope="module")
def three(pair: LiveLocalnet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreeSigners]:
    """Begun alone, linked by what each signed of its node, then the key; the rest is removed at the end."""
    folder = tmp_path_factory.mktemp("owners")
    owners = {who: Signer(pair, folder / who, who, index) for who, index in PLACES.items()}
    every = list(owners.values())
    at_once(every, Signer.begin)
    spaces = {who: one.namespace for who, one in owners.items()}
    link(every)
    for who, one in owners.items():
        until(f"{who} trusts both others", lambda one=one, who=who: len(one.bundle(spaces[who])) == 2)
    acme, *others = every
    acme.step("propose", *(one.who for one in others))
    at_once(others, lambda one: one.step("join"))
    acme.step("execute")
    made = ThreeSigners(owners, spaces)
    yield made
    for who in ("acme", "bolt"):
        owners[who].run("delete", NETWORK, "--purge")


def test_all_sign_the_same_with_a_key_that_nobody_has(three: ThreeSigners) -> None:
    found = until("all three have the first round", lambda: three.same(1))
    assert len(bytes.fromhex(found.signature)) == 48, "a point of G1, compressed"


def test_a_node_is_nobody_but_itself(three: ThreeSigners) -> None:
    bolt, place = three.owners["bolt"], three.owners["acme"].front()
    bundle = bolt.bundle(three.spaces["bolt"])
    bolt.greet(place, bundle, "acme-signer.signers.internal")
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        bolt.greet(place, bundle, "cato-signer.signers.internal")
    acmes = three.owners["acme"].bundle(three.spaces["acme"])
    with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
        bolt.greet(place, acmes, "acme-signer.signers.internal")


def test_two_go_on_when_the_third_is_gone_and_trust_him_no_more(three: ThreeSigners) -> None:
    """Last in its file: Cato's node is removed."""
    acme = three.owners["acme"]
    three.owners["cato"].run("delete", NETWORK, "--purge")
    before = until("the two others have a round", lambda: three.same(None, "acme", "bolt"))
    later = before.number + MORE_ROUNDS
    until("the two others go on", lambda: three.same(later, "acme", "bolt"))
    acme.run("leave", NETWORK, "cato")
    acme.run("apply", FILE)
    until("his key is in no bundle of Acme's", lambda: len(acme.bundle(three.spaces["acme"])) == 1)
    until("Acme's node signs on", lambda: three.same(later + MORE_ROUNDS, "acme", "bolt"))
