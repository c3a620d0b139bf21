# SPDX-License-Identifier: Apache-2.0
"""Nodes of other owners under the names that they have here."""

import pytest

from tests.fakes.network_states import state_of
from tests.fakes.provider.pods import a_manifest
from tests.protocol.networks.books import a_book, entry
from tests.protocol.networks.owners.documents import export, invitation, node
from tests.protocol.networks.team import ALICE, BOB, MALLORY
from tests.publisher.core.networks.owners.test_links import AT_ALICE, AT_BOB, us
from trustedpods.protocol.codec import encode
from trustedpods.protocol.errors import BadInput, Refused
from trustedpods.protocol.networks.content import AddressEntry
from trustedpods.publisher.core.networks.owners import links
from trustedpods.publisher.core.networks.owners.exporting import exported_nodes
from trustedpods.publisher.core.networks.owners.nodes import (
    check_apart,
    closed_nodes_of,
    nodes_of,
    standing_nodes_of,
    without_refused,
)

__all__ = ["us"]


def test_open_links_have_nodes_and_ended_ones_lead_nowhere() -> None:
    assert [(name, one[0].address) for name, one in nodes_of(AT_BOB).items()] == [
        ("alice-one", "203.0.113.7")
    ]
    assert (nodes_of(AT_ALICE), closed_nodes_of(AT_BOB)) == ({}, {})
    gone = links.left(AT_BOB, "alice")
    assert (nodes_of(gone), closed_nodes_of(gone)["alice-one"][0].address) == ({}, "")
    anew = links.invited(gone, us(BOB), invitation(BOB, ALICE), None)
    assert (nodes_of(anew), closed_nodes_of(anew)) == ({}, closed_nodes_of(gone))


def test_who_writes_the_state_makes_no_nodes_for_others() -> None:
    forged = export(MALLORY).model_copy(update={"owner": AT_BOB[0].owner})
    written = [AT_BOB[0].model_copy(update={"export": encode(forged)})]
    with pytest.raises(Refused):
        nodes_of(written)


def test_names_are_apart_and_short_enough() -> None:
    with pytest.raises(BadInput, match="called as another owner's"):
        check_apart({"alice-one": 1}, nodes_of(AT_BOB))
    long = [AT_BOB[0].model_copy(update={"export": encode(export(nodes=[node("n" * 50)]))})]
    with pytest.raises(BadInput, match="more than 50"):
        nodes_of(long)


def test_a_name_too_long_of_an_ended_link_is_left_out() -> None:
    told = encode(export(nodes=[node("n" * 44), node("one")]))
    gone = links.left([AT_BOB[0].model_copy(update={"export": told})], "alice")
    anew = links.invited(gone, us(BOB), invitation(BOB, ALICE), "alicelongername")
    assert list(closed_nodes_of(anew)) == ["alicelongername-one"]


def test_a_link_that_cannot_stand_hides_no_other() -> None:
    long = AT_BOB[0].model_copy(update={"export": encode(export(nodes=[node("n" * 50)]))})
    forged = export(MALLORY).model_copy(update={"owner": AT_BOB[0].owner})
    unsigned = AT_BOB[0].model_copy(update={"export": encode(forged)})
    torn = AT_BOB[0].model_copy(update={"export": b"torn"})
    assert standing_nodes_of([long, unsigned, torn, *AT_BOB]) == nodes_of(AT_BOB)


def test_a_node_that_no_export_may_hold_is_bad_input() -> None:
    web = {"name": "web", "expose": "http", "ports": [{"port": 80}]}
    told = [AddressEntry(component="b", service="web", port=80, url="http://127.0.0.1:80/", generation=7)]
    state = state_of().model_copy(update={"addresses": told})
    with pytest.raises(BadInput, match="the address of no node") as caught:
        exported_nodes({"b": a_manifest(services=[web], scale={"min": 1})}, state)
    assert caught.value.where == "node b"


def test_a_book_without_what_a_provider_keeps_closed_has_all_else() -> None:
    book, theirs = a_book(entry("alice-one"), entry("alice-two"), entry()), {"alice-one", "alice-two"}
    left = without_refused(book, Refused("closed", rule="closed-node", where="alice-one"), theirs)
    assert left is not None
    assert [(one.node, bool(one.address)) for one in left.entries] == [
        ("alice-one", False),
        ("alice-two", True),
        ("b", True),
    ]
    assert left.age == book.age


@pytest.mark.parametrize(
    ("rule", "where"),
    [
        ("egress", "alice-one"),
        ("closed-node", "b"),
        ("closed-node", "alice-one, b"),
        ("closed-node", "alice-three"),
        ("closed-node", ""),
        ("closed-node", None),
    ],
)
def test_what_a_provider_says_of_ones_own_nodes_or_of_none_changes_no_book(
    rule: str, where: str | None
) -> None:
    theirs = {"alice-one", "alice-two", "alice-three"}
    book = a_book(entry("alice-one"), entry("alice-two", address=""), entry())
    assert without_refused(book, Refused("closed", rule=rule, where=where), theirs) is None


def test_a_node_that_is_closed_already_is_not_refused_again() -> None:
    refused = Refused("closed", rule="closed-node", where="alice-one")
    left = without_refused(a_book(entry("alice-one"), entry()), refused, {"alice-one"})
    assert left is not None
    assert without_refused(left, refused, {"alice-one"}) is None
