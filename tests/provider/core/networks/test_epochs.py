# SPDX-License-Identifier: Apache-2.0
"""Epochs over whole lives of networks: whatever members' programs write, a later epoch comes through."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.networks.books import a_book
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.networks.documents import EPOCH_AHEAD_S, check_epoch, is_absurd, later_epoch
from trustedpods.provider.core.networks.book import as_it_counts

NOW = 1_800_000_000
MOST = (1 << 64) - 1


def taken(before, epoch, now=NOW):
    try:
        check_epoch(before, epoch, now)
    except Refused:
        return False
    return True


@pytest.mark.parametrize(
    ("before", "epoch", "may"),
    [
        (None, 0, True),
        (None, NOW, True),
        (None, NOW + EPOCH_AHEAD_S, True),
        (None, NOW + EPOCH_AHEAD_S + 1, False),
        (None, MOST, False),
        (None, None, False),
        (NOW, None, False),
        (NOW, NOW, True),
        (NOW, NOW + 1, True),
        (0, NOW, True),
        (NOW, NOW - 1, False),
        (NOW, MOST, False),
        (MOST, MOST, True),
        (MOST, MOST - 1, False),
        (MOST, NOW, True),
    ],
)
def test_which_epoch_may_follow_which(before, epoch, may):
    assert taken(before, epoch) is may


def test_the_rule_is_named():
    with pytest.raises(Refused) as caught:
        check_epoch(None, MOST, NOW)
    assert caught.value.rule == "epoch"


def test_a_clock_that_went_back_stops_no_write_of_the_same_epoch():
    assert taken(NOW, NOW, now=NOW - 2 * EPOCH_AHEAD_S)


def test_a_new_epoch_is_the_clocks_or_one_more_and_an_absurd_one_is_forgotten():
    assert later_epoch([], NOW) == later_epoch([3, 7], NOW) == later_epoch([MOST], NOW) == NOW
    assert later_epoch([NOW + 5, 7, MOST], NOW) == NOW + 6


@dataclass
class Life:
    """A network, its one daemon, and a node that was given books of it."""

    now: int = NOW
    document: int | None = None
    clear: bool = True
    """Whether the document says its epoch: one of an earlier version does not."""
    node: tuple[int, int] = (0, 0)

    def write(self, epoch):
        if taken(self.document if self.clear else None, epoch, self.now):
            self.document, self.clear = epoch, True
            return True
        return False

    def tell(self, generation):
        """Bring the node a book; whether it has taken it."""
        if self.document is None or not taken(None, self.document, self.now):
            return False
        kept = as_it_counts(a_book(epoch=self.node[0], generation=self.node[1]), self.now)
        book = a_book(epoch=self.document, generation=generation)
        if book.age < kept.age:
            return False
        self.node = book.age
        return True


EPOCHS = st.one_of(
    st.integers(0, MOST), st.integers(NOW - 5, NOW + 5), st.just(NOW + EPOCH_AHEAD_S), st.just(MOST)
)
STEPS = st.one_of(
    st.tuples(st.just("write"), EPOCHS),
    st.tuples(st.just("earlier version"), EPOCHS),
    st.tuples(st.just("repair"), EPOCHS),
    st.tuples(st.just("old book"), EPOCHS),
    st.tuples(st.just("tell"), st.integers(0, MOST)),
    st.tuples(st.just("restore"), EPOCHS),
    st.tuples(st.just("clusters lost"), st.just(0)),
    st.tuples(st.just("time"), st.integers(1, 3 * EPOCH_AHEAD_S)),
)


@given(st.lists(STEPS, max_size=30), EPOCHS)
def test_after_any_life_a_restored_state_is_taken_and_its_books_reach_the_nodes(steps, backup):
    life = Life()
    for what, number in steps:
        match what:
            case "write":
                life.write(number)
            case "earlier version":  # daemons of that time took any
                life.document, life.clear = number, False
            case "repair":  # an owner's word for a copy, whatever stands in it
                life.document, life.clear = number, True
            case "old book":  # so did they of books
                life.node = (number, number)
            case "tell":
                life.tell(number)
            case "restore":
                life.write(later_epoch([life.document or 0, number], life.now))
            case "clusters lost":
                life.document = None
            case _:
                life.now += number
    life.now += 1 + EPOCH_AHEAD_S
    known = [one for one in (life.document, backup, life.node[0]) if one is not None]
    assert life.write(later_epoch(known, life.now))
    assert not is_absurd(life.document, life.now)
    assert life.tell(1)
    assert life.write(life.document)
