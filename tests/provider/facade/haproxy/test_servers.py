# SPDX-License-Identifier: Apache-2.0
"""The servers of a slot, and the commands that make HAProxy agree."""

import pytest

from trustedpods.protocol.errors import LocalProtocolError
from trustedpods.provider.core.traffic import PodAddress
from trustedpods.provider.facade.haproxy.servers import (
    ServerSeen,
    parse_servers,
    removal_commands,
    removals,
    server_commands,
)

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


def test_servers_are_read_from_haproxys_words():
    assert parse_servers(STATE) == (
        ServerSeen(0, "pod-a", "127.0.0.1", 19090, 2, maint=False),
        ServerSeen(1, "pod-b", "127.0.0.1", 19091, 7, maint=True),
    )


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
