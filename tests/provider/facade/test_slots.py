# SPDX-License-Identifier: Apache-2.0
"""Who has which slot, and the host map."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.protocol.errors import LocalProtocolError, Refused
from trustedpods.provider.facade.haproxy.maps import (
    OF_A_SLOT,
    SlotMap,
    map_commands,
    map_text,
    parse_map_reply,
    parse_map_text,
)
from trustedpods.provider.facade.pools import Pools, SlotProtocol
from trustedpods.provider.facade.slots import (
    ServiceSpec,
    SlotLimits,
    SlotTable,
    assign,
    leave,
    orphans,
    parse_table,
    release,
    setting_lines,
    table_entries,
)

MAP = Path("/run/tp/hosts.map")


def test_a_label_keeps_its_slot_and_a_new_one_gets_a_free_one():
    table, first = assign(SlotTable(Pools(3)), "a", ("a.localhost",))
    table, second = assign(table, "b", ("b.localhost",))
    table, again = assign(table, "a", ("a.localhost", "www.a.localhost"))
    assert (first, second, again) == (0, 1, 0)
    assert table.free() == 1
    table, _ = assign(table, "a", ("new.localhost",))
    assert table.hosts == {"new.localhost": 0, "b.localhost": 1}


def test_a_new_daemon_finds_its_slots_in_the_map():
    table = SlotTable(Pools(3))
    for label in ("gone", "a"):
        table, _ = assign(table, label, (f"{label}.localhost",))
    table = parse_table(parse_map_text(map_text(table_entries(table))), Pools(3))
    table, slot = assign(table, "a", ("a.localhost",))
    assert slot == 1
    table, other = assign(table, "c", ("c.localhost",))
    assert other == 2, "a slot that somebody has is not free"
    cut_off = parse_table({"lost.localhost/": "slot2"}, Pools(3))
    assert orphans(cut_off) == {2}


def test_each_protocol_has_slots_of_its_own_and_a_service_may_change_its():
    table = SlotTable(Pools(1, 1, 1))
    found = {}
    for protocol in SlotProtocol:
        table, found[protocol] = assign(table, f"p.{protocol}", (), protocol)
    assert found == {SlotProtocol.HTTP: 0, SlotProtocol.H2: 1, SlotProtocol.TCP: 2}
    assert [table.free(protocol) for protocol in SlotProtocol] == [0, 0, 0]
    table = release(leave(table, 1), 1)
    table, slot = assign(table, "p.http", ("a.localhost",), SlotProtocol.H2)
    assert (slot, table.leaving) == (1, {0})


def test_a_slot_is_free_only_when_it_is_clean():
    table, slot = assign(SlotTable(Pools(1)), "a", ("a.localhost",))
    table = leave(table, slot)
    assert (table.hosts, table.labels, table.free()) == ({}, {}, 0)
    with pytest.raises(Refused) as full:
        assign(table, "b", ("b.localhost",))
    assert full.value.rule == "capacity-services"
    table, again = assign(release(table, slot), "b", ("b.localhost",))
    assert again == 0


def test_a_host_has_one_owner():
    table, _ = assign(SlotTable(Pools(3)), "a", ("a.localhost",))
    with pytest.raises(Refused) as taken:
        assign(table, "b", ("b.localhost", "a.localhost"))
    assert taken.value.rule == "host-taken"


@pytest.mark.parametrize(
    "host", ["a b", "a\nb", "", "a;b", "A.localhost", "-a", "a..b", "x" * 300, "a/../b", "a/b c", "a/", ":a"]
)
def test_what_is_no_host_name_never_reaches_haproxy(host):
    with pytest.raises(LocalProtocolError):
        assign(SlotTable(Pools(3)), "a", (host,))


def test_the_map_file_is_read_back():
    table = SlotTable(Pools(2), {"a.localhost": 1, "a.localhost/api": 0}, {"p.web": 1, "p.api": 0})
    entries = table_entries(table)
    assert entries == {
        ":p.api/": "slot0",
        ":p.web/": "slot1",
        "a.localhost/": "slot1",
        "a.localhost/api/": "slot0",
    }
    assert parse_table(parse_map_text(map_text(entries)), Pools(2)) == table
    assert (
        parse_table(parse_map_text("a.localhost/ slot9\n# slot0\nb/ nowhere\nx\nc slot0\n"), Pools(4)).used
        == set()
    )
    assert parse_map_reply("0x55d2c4579650 a.localhost/ slot0\n0x55d2c4723d40 b/ slot1\n\n") == {
        "a.localhost/": "slot0",
        "b/": "slot1",
    }


@given(
    st.dictionaries(st.sampled_from(["a.x", "b.x", "c.x"]), st.sampled_from(["slot0", "slot1", "7"])),
    st.dictionaries(st.sampled_from(["a.x", "b.x", "c.x"]), st.sampled_from(["slot0", "slot1", "7"])),
)
def test_map_commands_make_the_map_equal(wanted, had):
    entries = list(had.items())
    for command in map_commands(MAP, wanted, had):
        verb, word, path, host, *value = command.split()
        assert (word, path) == ("map", str(MAP))
        if verb == "add":
            entries.append((host, value[0]))  # as HAProxy does: also when it is there
        elif verb == "set":
            assert any(entry[0] == host for entry in entries)
            entries = [(entry[0], value[0] if entry[0] == host else entry[1]) for entry in entries]
        else:
            entries = [entry for entry in entries if entry[0] != host]
    assert sorted(entries) == sorted(wanted.items())


@pytest.mark.parametrize("word", ["", "a b", "a\nb", "a;b", "a#b", "\u00e4"])
def test_what_is_more_than_a_word_never_reaches_haproxy(word):
    with pytest.raises(LocalProtocolError):
        map_commands(MAP, {"key": word}, {})


ASKED = {
    SlotMap.CONNECTIONS: {"limits": SlotLimits(connections=3)},
    SlotMap.RATES: {"limits": SlotLimits(rate=3)},
    SlotMap.BODIES: {"limits": SlotLimits(body_bytes=3)},
    SlotMap.STREAMS: {"limits": SlotLimits(stream_bytes=3)},
    SlotMap.HTTPS: {"https_only": True},
    SlotMap.AFFINITY: {"affinity": "ip"},
}
"""What a service may ask for, by the map that says so."""


def test_all_that_can_be_asked_for_was_tried():
    assert set(ASKED) == set(OF_A_SLOT) == set(SlotMap) - {SlotMap.ASKING, SlotMap.SHARED, SlotMap.RESTING}
    assert next(iter(SlotMap)) is SlotMap.ASKING, "what is told first is never told too late"


@pytest.mark.parametrize("which", ASKED)
def test_who_asks_for_anything_stands_among_the_asking_and_nobody_else(which):
    nothing = {key: {} for key in SlotMap}
    table, _ = assign(SlotTable(Pools(3)), "a", ("a.localhost",))
    table, _ = assign(table, "b", ("b.localhost",))
    plain, asking = ServiceSpec("a", ("a.localhost",)), ServiceSpec("b", ("b.localhost",), **ASKED[which])
    lines = setting_lines(which, table, {0: plain, 1: asking}, nothing)
    assert lines.keys() == {"slot1"}
    assert setting_lines(SlotMap.ASKING, table, {0: plain, 1: asking}, nothing) == {"slot1": "1"}
    # A new daemon does not know yet what the service wants, and an older one wrote no such map.
    found = nothing | {which: lines}
    assert setting_lines(SlotMap.ASKING, table, {0: plain}, found) == {"slot1": "1"}
    assert setting_lines(SlotMap.ASKING, table, {0: plain, 1: replace(plain, label="b")}, found) == {}
