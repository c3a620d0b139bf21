# SPDX-License-Identifier: Apache-2.0
"""Who has which slot, and the host map."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.protocol.errors import LocalProtocolError, Refused
from trustedpods.provider.facade.slots import (
    SlotTable,
    assign,
    host_commands,
    leave,
    map_text,
    parse_map_reply,
    parse_map_text,
    release,
    unclaimed,
)

MAP = Path("/run/tp/hosts.map")


def test_a_label_keeps_its_slot_and_a_new_one_gets_a_free_one():
    table, first = assign(SlotTable(3), "a", ("a.localhost",))
    table, second = assign(table, "b", ("b.localhost",))
    table, again = assign(table, "a", ("a.localhost", "www.a.localhost"))
    assert (first, second, again) == (0, 1, 0)
    assert table.free == 1
    table, _ = assign(table, "a", ("new.localhost",))
    assert table.hosts == {"new.localhost": 0, "b.localhost": 1}


def test_a_new_daemon_finds_its_slots_by_the_hosts():
    table = SlotTable(3, {"a.localhost": 2, "gone.localhost": 1})
    table, slot = assign(table, "a", ("a.localhost",))
    assert slot == 2
    assert unclaimed(table) == {1}
    table, other = assign(table, "c", ("c.localhost",))
    assert other == 0, "a slot that somebody's hosts still point to is not free"


def test_a_slot_is_free_only_when_it_is_clean():
    table, slot = assign(SlotTable(1), "a", ("a.localhost",))
    table = leave(table, slot)
    assert (table.hosts, table.labels, table.free) == ({}, {}, 0)
    with pytest.raises(Refused) as full:
        assign(table, "b", ("b.localhost",))
    assert full.value.rule == "slots"
    table, again = assign(release(table, slot), "b", ("b.localhost",))
    assert again == 0


def test_a_host_has_one_owner():
    table, _ = assign(SlotTable(3), "a", ("a.localhost",))
    with pytest.raises(Refused) as taken:
        assign(table, "b", ("b.localhost", "a.localhost"))
    assert taken.value.rule == "host-taken"


@pytest.mark.parametrize("host", ["a b", "a\nb", "", "a;b", "A.localhost", "-a", "a..b", "x" * 300])
def test_what_is_no_host_name_never_reaches_haproxy(host):
    with pytest.raises(LocalProtocolError):
        assign(SlotTable(3), "a", (host,))


def test_the_map_file_is_read_back():
    hosts = {"a.localhost": 1, "b.localhost": 0}
    assert parse_map_text(map_text(hosts), 2) == hosts
    assert parse_map_text("a.localhost slot9\n# a comment\nb.localhost nowhere\nx\n", 4) == {}
    assert parse_map_reply("0x55d2c4579650 a.localhost slot0\n0x55d2c4723d40 b.localhost slot1\n\n", 2) == {
        "a.localhost": 0,
        "b.localhost": 1,
    }


@given(
    st.dictionaries(st.sampled_from(["a.x", "b.x", "c.x"]), st.integers(0, 3)),
    st.dictionaries(st.sampled_from(["a.x", "b.x", "c.x"]), st.integers(0, 3)),
)
def test_host_commands_make_the_map_equal(wanted, had):
    entries = [(host, f"slot{slot}") for host, slot in had.items()]
    for command in host_commands(MAP, wanted, had):
        verb, word, path, host, *value = command.split()
        assert (word, path) == ("map", str(MAP))
        if verb == "add":
            entries.append((host, value[0]))  # as HAProxy does: also when it is there
        elif verb == "set":
            assert any(entry[0] == host for entry in entries)
            entries = [(entry[0], value[0] if entry[0] == host else entry[1]) for entry in entries]
        else:
            entries = [entry for entry in entries if entry[0] != host]
    assert sorted(entries) == sorted((host, f"slot{slot}") for host, slot in wanted.items())
