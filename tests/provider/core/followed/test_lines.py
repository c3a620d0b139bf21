# SPDX-License-Identifier: Apache-2.0
"""Lines of a followed log: however it is cut, and wherever a reader goes on."""

from hypothesis import given
from hypothesis import strategies as st

from trustedpods.protocol.messages.streams.followed import MAX_LINE
from trustedpods.provider.core.followed.lines import LinePlace, StampedLines

TEXTS = st.lists(st.binary(max_size=40).map(lambda one: one.replace(b"\n", b"")), max_size=20)
LONG = st.sampled_from([0, 1, MAX_LINE - 1, MAX_LINE, MAX_LINE + 1, 3 * MAX_LINE, 3 * MAX_LINE + 60])


def stamped(texts, steps):
    """A log, with times that stand still where a step is 0."""
    at, written = 0, b""
    for text, step in zip(texts, steps, strict=False):
        at += step
        written += b"2027-01-15T08:00:%02d.%09dZ " % (at // 10, at % 10) + text + b"\n"
    return written


def read(log, cuts=(), after=None):
    lines, found, begin = StampedLines(after), [], 0
    for cut in [*sorted(cut for cut in cuts if cut < len(log)), len(log)]:
        found += lines.feed(log[begin:cut])
        begin = cut
    return found + lines.end()


STEPS = st.lists(st.integers(0, 3), min_size=25, max_size=25)


@given(TEXTS, STEPS, st.sets(st.integers(0, 2000), max_size=8))
def test_however_it_is_cut_the_lines_are_the_same(texts, steps, cuts):
    log = stamped(texts, steps)
    found = read(log, cuts)
    assert [line.text for line in found] == texts
    assert found == read(log)
    assert [line.place for line in found] == sorted({line.place for line in found})


@given(TEXTS, STEPS, st.integers(0, 20))
def test_nothing_is_lost_or_told_twice_from_any_place(texts, steps, place):
    whole = read(stamped(texts, steps))
    after = whole[min(place, len(whole) - 1)].place if whole else None
    rest = read(stamped(texts, steps), after=after)
    assert rest == (whole[min(place, len(whole) - 1) + 1 :] if whole else [])


@given(LONG, st.sets(st.integers(0, 4 * MAX_LINE), max_size=5))
def test_a_long_line_comes_in_the_same_pieces(size, cuts):
    log = stamped([b"a", b"x" * size, b"z"], [1, 1, 1])
    found = read(log, cuts)
    assert found == read(log)
    assert max(len(line.text) for line in found) <= MAX_LINE
    assert b"".join(line.text for line in found) == b"a" + b"x" * size + b"z"


def test_what_was_held_of_a_line_without_end_is_bounded():
    lines = StampedLines()
    for _ in range(100):
        lines.feed(b"y" * 10_000)
        assert len(lines._rest) <= 2 * MAX_LINE


def test_zones_fractions_and_words_of_the_kubelet():
    log = b"2027-01-15T10:00:00.5+02:00 here\nunable to read\n2027-01-15T08:00:01Z \nno end"
    second = 1_800_000_000
    assert [(line.place, line.text) for line in read(log)] == [
        (LinePlace(second * 10**9 + 500_000_000, 1), b"here"),
        (LinePlace(second * 10**9 + 500_000_000, 2), b"unable to read"),
        (LinePlace((second + 1) * 10**9, 1), b""),
        (LinePlace((second + 1) * 10**9, 2), b"no end"),
    ]
    assert read(b"2027-13-15T08:00:01Z x")[0].place.at == 0
