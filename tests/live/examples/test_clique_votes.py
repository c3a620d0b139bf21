# SPDX-License-Identifier: Apache-2.0
"""Another owner's node becomes a signer of a chain, and is none any more: by votes of the owners' nodes."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.live.clients.publisher import Json
from tests.live.examples.chain_node import have_same
from tests.live.faults.providers import without_node
from tests.live.networks.test_two_orgs import TwoOrganisations, two
from tests.live.networks.two_orgs import FILE, NETWORK
from tests.live.observers.waiting import until
from trustedpods.publisher.verbs.drafts.clique import signer_account

__all__ = ["two"]

pytestmark = [pytest.mark.live, pytest.mark.soak, pytest.mark.timeout(1500)]
"""Two clusters, three nodes, each of which is begun twice."""

GUEST = "bolt-node"
"""Bolt's node, as Acme calls it."""

VOTED_S = 180.0
"""For a vote: Acme's nodes have two, and each comes with a block of its own."""


def change(file: Path, how: Callable[[Json], None]) -> None:
    """Write the Network *file* anew with its `spec` changed."""
    tree = yaml.safe_load(file.read_text())
    how(tree["spec"])
    file.write_text(yaml.safe_dump(tree))


def secret_of(spec: Json) -> Json:
    """Of the template of nodes, what its volume `keys` is made of."""
    volumes = spec["templates"]["node"]["spec"]["volumes"]
    found: Json = next(one["secret"] for one in volumes if one["name"] == "keys")
    return found


def give_account(two: TwoOrganisations) -> str:
    """Bolt's node is begun anew with an account, by which it may sign; the account's address."""
    bolt, own = two.bolt, signer_account("locked")
    for name, text in (("password", "locked"), ("account", own.account), ("signer", own.signer)):
        (bolt.folder / "keys" / name).write_text(text)

    def with_account(spec: Json) -> None:
        files = {"password": "password", "account-0": "account", "signer-0": "signer"}
        secret_of(spec)["files"] |= {name: f"keys/{file}" for name, file in files.items()}

    bolt.run("apply", without_node(bolt.folder / FILE, "node"), "--purge")
    change(bolt.folder / FILE, with_account)
    bolt.run("apply", FILE)
    two.acme.run("import", NETWORK, two.acme.receive("moved", bolt.text("export", FILE, "--for", "acme")))
    return own.signer


def name_signer(two: TwoOrganisations, signer: str) -> None:
    """Acme's file says that this account signs, as long as Bolt's node is linked."""
    (two.acme.folder / "keys" / "signers").write_text(
        f"# who signs\n{signer} ${{node.{GUEST}.identity.hex}}\n"
    )

    def with_signer(spec: Json) -> None:
        owner = two.bolt.person.address
        spec["externalNodes"] = [{"name": GUEST, "owner": owner}]
        spec["templates"]["node"]["spec"]["network"]["nodes"].append(GUEST)
        secret_of(spec)["rendered"].append("signers")
        secret_of(spec)["files"]["signers"] = "keys/signers"

    change(two.acme.folder / FILE, with_signer)
    two.acme.run("apply", FILE)


def test_a_linked_owners_node_signs_once_the_others_voted_and_no_more_after_it_left(
    two: TwoOrganisations,
) -> None:
    acme = two.acme
    signer = give_account(two).lower()
    assert signer not in two.boot.ask("clique_getSigners")
    name_signer(two, signer)
    boot, guest = acme.node(two.spaces["boot"]), two.bolt.node(two.bolt.namespace("node"))
    runs = two.acmes_runs()
    until("Acme's nodes voted it in", lambda: signer in boot.ask("clique_getSigners"), VOTED_S)

    def signs() -> bool:
        """Whether the chain has a block of its."""
        return bool(boot.ask("clique_status")["sealerActivity"].get(signer, 0) > 0)

    until("it signs blocks", signs)
    above = boot.told_height()
    until("heights meet", lambda: have_same([boot, guest], above))
    acme.run("leave", NETWORK, "bolt")
    acme.run("apply", FILE)
    until("Acme's nodes voted it out", lambda: signer not in boot.ask("clique_getSigners"), VOTED_S)
    above = boot.told_height()
    until("Acme's chain goes on", lambda: boot.height() > above + 3)
    assert two.acmes_runs() == runs, "its hooks voted, and nothing was restarted"
