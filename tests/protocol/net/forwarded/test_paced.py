# SPDX-License-Identifier: Apache-2.0
"""What two ends say of one connection: every byte once, in order, and never more than a window under way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.protocol.errors import RemoteProtocolError
from trustedpods.protocol.messages.forward import MAX_PIECE, WINDOW, ForwardInput, ForwardOutput
from trustedpods.protocol.net.forwarded.paced import BROKEN_OFF, MAX_WHY, PacedConnection

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["read", "end", "say", "take"]), st.sampled_from("ab"), st.integers(1, 2 * MAX_PIECE)
    ),
    max_size=60,
)


class Two:
    """Both ends of one connection, and what each local end gave and got."""

    def __init__(self):
        self.ends = {"a": PacedConnection(announces=True), "b": PacedConnection()}
        self.given = {"a": b"", "b": b""}
        self.got = {"a": b"", "b": b""}
        self.ended = set()

    def step(self, what, who, size):
        end, other = self.ends[who], self.ends["b" if who == "a" else "a"]
        if what == "read" and who not in self.ended and end.room:
            data = bytes([len(self.given[who]) % 251]) * min(size, end.room)
            self.given[who] += data
            end.keep(data)
        elif what == "end" and who not in self.ended:
            self.ended.add(who)
            end.keep(b"")
        elif what == "say":
            piece = end.next_piece()
            if piece is not None:
                assert len(piece.data) <= MAX_PIECE
                other.note(piece.data, end=piece.end, taken=piece.taken)
                assert len(other._waiting) <= WINDOW
        elif what == "take" and end.has_input:
            data = end.input()
            self.got[who] += data
            end.handed_on(len(data))


@given(STEPS)
def test_every_byte_arrives_once_and_in_order(steps):
    two = Two()
    for step in steps:
        two.step(*step)
    for _ in range(4 * (WINDOW // MAX_PIECE) + 20):
        for what in ("end", "say", "take"):
            for who in "ab":
                two.step(what, who, 1)
    assert two.got == {"a": two.given["b"], "b": two.given["a"]}
    assert two.ends["a"].over
    assert two.ends["b"].over


@given(st.integers(0, WINDOW * 2), st.booleans(), st.integers(0, 10))
def test_no_more_than_a_window_is_taken(size, end, taken):
    paced = PacedConnection()
    data = bytes(min(size, WINDOW + 1))
    if len(data) > WINDOW or taken:
        with pytest.raises(RemoteProtocolError) as caught:
            paced.note(data, end=end, taken=taken)
        assert caught.value.rule == "exec-window"
    else:
        paced.note(data, end=end, taken=taken)


def test_nothing_follows_the_end():
    paced = PacedConnection()
    paced.note(b"x", end=True, taken=0)
    with pytest.raises(RemoteProtocolError) as caught:
        paced.note(b"y", end=False, taken=0)
    assert caught.value.rule == "exec-input"


def test_one_that_fails_says_what_it_had_first():
    paced = PacedConnection()
    paced.keep(b"last words")
    paced.fail("w" * 1000)
    assert paced.next_piece().data == b"last words"
    closing = paced.next_piece()
    assert closing.closed == "w" * MAX_WHY
    assert ForwardOutput(connection=1, closed=closing.closed).closed == closing.closed
    assert paced.over
    assert paced.next_piece() is None


def test_what_nobody_takes_is_thrown_away_and_makes_room():
    paced = PacedConnection()
    paced.note(bytes(WINDOW), end=False, taken=0)
    paced.discard()
    assert not paced.has_input
    assert paced.next_piece().taken == WINDOW
    paced.note(bytes(WINDOW), end=True, taken=0)
    assert not paced.over
    paced.keep(b"")
    assert paced.next_piece().end
    assert paced.over


def test_one_that_neither_takes_nor_says_anything_is_closed():
    paced = PacedConnection()
    paced.note(b"x", end=False, taken=0)
    paced.keep(b"413")
    paced.discard()
    paced.keep(b"")
    assert paced.next_piece().data == b"413"
    assert not paced.over
    assert paced.next_piece().closed == BROKEN_OFF
    assert paced.over


def test_whoever_begins_speaks_at_once():
    paced = PacedConnection(announces=True)
    piece = paced.next_piece()
    assert (piece.data, piece.end, piece.closed) == (b"", False, None)
    assert paced.next_piece() is None
    assert PacedConnection().next_piece() is None


def test_a_piece_fits_into_a_message():
    paced = PacedConnection()
    paced.keep(bytes(MAX_PIECE))
    piece = paced.next_piece()
    assert ForwardInput(connection=2**32 - 1, open=15, data=piece.data, taken=2**64 - 1, end=True).end
