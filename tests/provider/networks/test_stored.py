# SPDX-License-Identifier: Apache-2.0
"""What a daemon keeps of a network, and how it takes it up again."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.networks.test_wire import attempts, broken, commands, copies, counters
from trustedpods.protocol.errors import RemoteProtocolError
from trustedpods.protocol.networks.leases import LEASE_MS, Fence, Milliseconds
from trustedpods.provider.core.networks.documents import NetworkState
from trustedpods.provider.core.networks.leases import Grant, Lease, Waiter
from trustedpods.provider.networks import stored

NOW = Milliseconds(1000)
grants = st.builds(Grant, attempts, commands, counters.map(Fence), st.just(Milliseconds(NOW + LEASE_MS)))
waiters = st.builds(Waiter, attempts, commands, st.just(NOW))
leases = st.builds(Lease, counters.map(Fence), counters, st.none() | grants)
states = st.builds(NetworkState, leases, copies, st.lists(broken, max_size=3).map(tuple))


@given(states)
def test_all_but_waiters_and_clocks_is_kept(state):
    data = stored.to_bytes(state)
    assert stored.from_bytes(data, NOW) == state
    assert stored.to_bytes(stored.from_bytes(data, Milliseconds(5))) == data


@given(states, st.lists(waiters, max_size=2).map(tuple))
def test_what_the_daemon_remembers_is_taken_up(state, waiting):
    early = Milliseconds(3)
    grant = state.lease.grant and replace(state.lease.grant, ends=early)
    remembered = replace(state, lease=replace(state.lease, waiters=waiting, grant=grant))
    assert stored.taken_up(state, remembered) == remembered
    assert stored.taken_up(state, None) == state


@given(states, grants)
def test_a_grant_that_was_not_known_of_lasts_a_full_duration(state, grant):
    lease = replace(state.lease, fence=Fence(state.lease.fence + 1), grant=grant)
    read = replace(state, lease=lease)
    assert stored.taken_up(read, state).lease.grant == grant


@given(states)
def test_a_grant_that_ended_stays_ended(state):
    ended = replace(state, lease=replace(state.lease, grant=None))
    assert stored.taken_up(state, ended).lease.grant is None


def test_bytes_that_are_none_of_ours():
    for data in (b"", b"{}", stored.to_bytes(NetworkState()) + b"\0"):
        with pytest.raises(RemoteProtocolError):
            stored.from_bytes(data, NOW)
