# SPDX-License-Identifier: Apache-2.0
"""What is left of a book that a provider refuses for closed nodes of other owners."""

import pytest

from tests.protocol.networks.books import a_book, entry
from trustedpods.protocol.errors import Refused
from trustedpods.publisher.visits.newest_book import UNTAKEN, GivenBook


def closed(*nodes):
    return Refused("closed here", rule="closed-node", where=", ".join(nodes))


def test_other_owners_nodes_that_are_closed_are_left_out_one_refusal_after_another():
    given = GivenBook(
        a_book(entry(), entry("guest-one"), entry("guest-two"), node="a"), {"guest-one", "guest-two"}
    )
    once = given.after(closed("guest-one"))
    assert [one.node for one in once.book.entries if one.address] == ["b", "guest-two"]
    twice = once.after(closed("guest-two"))
    assert [one.node for one in twice.book.entries if one.address] == ["b"]
    assert twice.after(closed("guest-two")) is None, "the same refusal again leads to the book of before"


@pytest.mark.parametrize("error", [closed("b"), closed("b", "guest-one"), Refused("no", rule="epoch")])
def test_what_cannot_be_left_out_leads_to_the_book_of_before(error):
    assert error.rule in UNTAKEN
    given = GivenBook(a_book(entry(), entry("guest-one"), node="a"), {"guest-one"})
    assert given.after(error) is None
