# SPDX-License-Identifier: Apache-2.0
"""Who has which slot, and the commands that make HAProxy agree."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.protocol.errors import LocalProtocolError, Refused
from trustedpods.provider.core.traffic import PodAddress
from trustedpods.provider.facade.slots import (
    ServerSeen,
    SlotTable,
    assign,
    host_commands,
    leave,
    map_text,
    parse_map_reply,
    parse_map_text,
    parse_servers,
    release,
    removal_commands,
    removals,
    server_commands,
    unclaimed,
)

MAP = Path("/run/tp/hosts.map")
A = PodAddress("pod-a", "10.0.0.1", 8080)
B = PodAddress("pod-b", "10.0.0.2", 8080)

# What HAProxy 2.6.12 said, shortened to three slots.
STATE = """1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight \
srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state \
srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl \
srv_check_port srv_check_addr srv_agent_addr srv_agent_port
1000 slot0 1 activator - 2 0 1 1 3 1 0 1 0 0 1 0 - 0 - 0 0 - - 0
1000 slot0 2 pod-a 127.0.0.1 2 0 1 1 0 1 0 0 6 0 1 1 - 19090 - 0 0 - - 0
1001 slot1 1 activator - 2 0 1 1 3 1 0 1 0 0 1 0 - 0 - 0 0 - - 0
1001 slot1 7 pod-b 127.0.0.1 0 1 1 1 0 1 0 0 2 0 1 1 - 19091 - 0 0 - - 0
"""


def seen(pod: PodAddress, *, maint: bool = False, slot: int = 0, number: int = 2) -> ServerSeen:
    return ServerSeen(slot, pod.name, pod.ip, pod.port, number, maint)


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


@pytest.mark.parametrize(
    "pod",
    [
        PodAddress("a/b", "10.0.0.1", 80),
        PodAddress("a;shutdown", "10.0.0.1", 80),
        PodAddress("activator", "10.0.0.1", 80),
        PodAddress("a", "10.0.0.1;x", 80),
        PodAddress("a", "example.org", 80),
    ],
)
def test_what_is_no_pod_never_reaches_haproxy(pod):
    with pytest.raises(LocalProtocolError):
        server_commands(0, [pod], [], ())


def test_the_map_file_is_read_back():
    hosts = {"a.localhost": 1, "b.localhost": 0}
    assert parse_map_text(map_text(hosts), 2) == hosts
    assert parse_map_text("a.localhost slot9\n# a comment\nb.localhost nowhere\nx\n", 4) == {}
    assert parse_map_reply("0x55d2c4579650 a.localhost slot0\n0x55d2c4723d40 b.localhost slot1\n\n", 2) == {
        "a.localhost": 0,
        "b.localhost": 1,
    }


def test_servers_are_read_from_haproxys_words():
    assert parse_servers(STATE) == (
        ServerSeen(0, "pod-a", "127.0.0.1", 19090, 2, maint=False),
        ServerSeen(1, "pod-b", "127.0.0.1", 19091, 7, maint=True),
    )


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


def test_a_new_pod_is_added_with_a_check_and_a_number_of_its_own():
    add, health, enable = server_commands(3, [B], [], (seen(A, slot=3),))
    assert add.startswith("add server slot3/pod-b 10.0.0.2:8080 id 3 check ")
    assert "observe layer4" in add
    assert (health, enable) == ("enable health slot3/pod-b", "enable server slot3/pod-b")
    ipv6 = PodAddress("pod-6", "fd00::1", 80)
    assert server_commands(0, [ipv6], [], ())[0].startswith("add server slot0/pod-6 [fd00::1]:80 ")


def test_draining_and_calling_it_off():
    assert server_commands(0, [], [A], (seen(A),)) == ["set server slot0/pod-a state maint"]
    assert server_commands(0, [], [A], (seen(A, maint=True),)) == []
    assert server_commands(0, [], [A], ()) == [], "a pod that takes nothing is not added"
    assert server_commands(0, [A], [], (seen(A, maint=True),)) == ["set server slot0/pod-a state ready"]
    assert server_commands(0, [A], [], (seen(A),)) == []


def test_what_is_not_wanted_is_removed():
    moved = PodAddress("pod-a", "10.9.9.9", 8080)
    assert removals([A], [B], (seen(A), seen(B))) == []
    assert removals([B], [], (seen(A), seen(B))) == [seen(A)]
    assert removals([moved], [], (seen(A),)) == [seen(A)]
    assert removal_commands(seen(A), cut=True) == [
        "set server slot0/pod-a state maint",
        "shutdown sessions server slot0/pod-a",
        "del server slot0/pod-a",
    ]
    assert removal_commands(seen(A, maint=True), cut=False) == ["del server slot0/pod-a"]
