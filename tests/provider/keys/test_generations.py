# SPDX-License-Identifier: Apache-2.0
"""Generations beside the boot's keys: they only grow, and survive a kill at any byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.protocol.errors import NetworkFailure
from trustedpods.protocol.ids import ChannelId
from trustedpods.provider.keys.generations import FILE_NAME, NewestGenerations

CHANNELS = st.integers(0, (1 << 192) - 1).map(ChannelId)
GENERATIONS = st.integers(0, (1 << 64) - 1)


def test_a_pod_that_was_never_here_has_none(tmp_path):
    assert NewestGenerations(tmp_path).newest(ChannelId(7)) == -1


@given(notes=st.lists(st.tuples(CHANNELS, GENERATIONS), max_size=20), cut=st.integers(0, 31))
def test_the_newest_survive_a_kill(tmp_path_factory, notes, cut):
    """A last entry that was cut short is the only one that may be lost."""
    folder = tmp_path_factory.mktemp("marks")
    marks, newest = NewestGenerations(folder), {}
    for channel, generation in notes:
        marks.note(channel, generation)
        newest[channel] = max(generation, newest.get(channel, -1))
    with (folder / FILE_NAME).open("ab") as file:
        file.write(b"x" * cut)
    for _ in range(2):
        again = NewestGenerations(folder)
        assert {channel: again.newest(channel) for channel in newest} == newest


def test_what_is_older_changes_nothing(tmp_path):
    marks = NewestGenerations(tmp_path)
    marks.note(ChannelId(1), 9)
    size = (tmp_path / FILE_NAME).stat().st_size
    marks.note(ChannelId(1), 9)
    marks.note(ChannelId(1), 3)
    assert (marks.newest(ChannelId(1)), (tmp_path / FILE_NAME).stat().st_size) == (9, size)


def test_a_start_keeps_one_entry_for_each_pod(tmp_path):
    marks = NewestGenerations(tmp_path)
    for generation in range(100):
        marks.note(ChannelId(1), generation)
    marks = NewestGenerations(tmp_path)
    assert marks.newest(ChannelId(1)) == 99
    assert (tmp_path / FILE_NAME).stat().st_size == 32


def test_nobody_else_reads_them(tmp_path):
    NewestGenerations(tmp_path).note(ChannelId(1), 1)
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600


def test_a_folder_that_is_gone_is_said(tmp_path):
    marks = NewestGenerations(tmp_path / "gone")
    with pytest.raises(NetworkFailure) as caught:
        marks.note(ChannelId(1), 1)
    assert caught.value.rule == "marks"
