# SPDX-License-Identifier: Apache-2.0
"""Three owners sign with one key on real drand: TLS by keys that are pinned, and one of them may go."""

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import pytest

from tests.live.examples.signed_rounds import Round, Signatures
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.networks.three_signers import FILE, NETWORK, Signer, at_once, link
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

    def signatures(self, *names: str) -> Signatures:
        """What *names* sign from now on, or all."""
        return Signatures({who: partial(self._latest, who) for who in names or self.owners})

    def _latest(self, who: str) -> Round | None:
        return self.owners[who].latest(self.spaces[who])


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
    found = until("all three have a round", three.signatures().common)
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
    signed = three.signatures("acme", "bolt")
    before = until("the two others have a round", signed.common)
    later = until("the two others go on", lambda: signed.common(before.number + MORE_ROUNDS))
    acme.run("leave", NETWORK, "cato")
    acme.run("apply", FILE)
    until("his key is in no bundle of Acme's", lambda: len(acme.bundle(three.spaces["acme"])) == 1)
    until("Acme's node signs on", lambda: signed.common(later.number + MORE_ROUNDS))
