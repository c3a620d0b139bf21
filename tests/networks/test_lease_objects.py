# SPDX-License-Identifier: Apache-2.0
"""What people see of a lease in Kubernetes, and how long a holder's grant is remembered."""

import secrets

import pytest
import trio

from tests.networks.daemons import NAME, OWNER, Daemon, Door
from trustedpods.contracts.eip712 import address_of
from trustedpods.protocol.messages.networks import ReadBody
from trustedpods.protocol.networks.documents import Copy
from trustedpods.protocol.networks.leases import (
    LEASE_MS,
    NO_TICKET,
    Acquire,
    AskLease,
    Attempt,
    Command,
    Fence,
    Release,
    Renew,
)
from trustedpods.protocol.networks.members import network_salt
from trustedpods.protocol.sealing.subjects import NetworkRef
from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.cluster.networks.documents import StoredDocument
from trustedpods.provider.core.networks.documents import NetworkState
from trustedpods.provider.core.networks.leases import Lease
from trustedpods.provider.networks import stored
from trustedpods.provider.networks.networks import MAX_REMEMBERED, TELL_AGAIN_S

FOUNDER = address_of(secrets.token_bytes(32))
LEASE_S = LEASE_MS / 1000
COMMAND = Command("apply", "laptop", UnixSeconds(0))


class OwnClock(Daemon):
    """One whose wall clock is moved by hand."""

    wall = 1_700_000_000.0

    def clock(self):
        return self.wall

    async def tell(self, *, task_status):
        """Until it is `stopped`."""
        with trio.CancelScope() as self.stopped:
            task_status.started()
            await self.networks.keep_telling()


@pytest.fixture
async def daemon(nursery):
    made = OwnClock()
    await nursery.start(made.tell)
    return made


async def started_again(daemon, nursery):
    """The next run of *daemon*, which does no more."""
    daemon.stopped.cancel()
    after = OwnClock()
    after.cluster = daemon.cluster
    await nursery.start(after.tell)
    return after


async def acquired(daemon, attempt=None):
    """A door, and what it was answered for *attempt*, a new one where none is given."""
    door = Door(daemon, FOUNDER, FOUNDER)
    attempt = attempt or Attempt(NO_TICKET, secrets.token_hex(16), FOUNDER)
    return door, await door.ask(Acquire(attempt, COMMAND))


async def told(daemon):
    """The one Lease object, once it is written; None where there is none."""
    await trio.sleep(0.1)
    (*leases,) = daemon.cluster.network_leases.items()
    return leases[0] if leases else None


async def test_a_lease_object_is_there_while_a_command_runs_and_says_since_when(daemon, virtual_time):
    door, granted = await acquired(daemon)
    name, first = await told(daemon)
    assert name.startswith(f"network-{NAME}-")
    assert (first.holder, first.lasts_s, first.transitions) == (f"{FOUNDER} at laptop", 20, 1)
    daemon.wall += 7
    await door.ask(Renew(granted.attempt, granted.fence))
    _, renewed = await told(daemon)
    assert (renewed.acquired, renewed.renewed) == (first.acquired, first.renewed + 7)
    await door.ask(Release(granted.attempt, aside=False))
    assert await told(daemon) is None


async def test_that_of_a_dead_holder_goes_with_its_grant_though_nobody_asks(daemon, virtual_time):
    await acquired(daemon)
    assert await told(daemon) is not None
    await trio.sleep(LEASE_S - 1)
    assert await told(daemon) is not None
    await trio.sleep(1)
    assert await told(daemon) is None
    _, granted = await acquired(daemon)
    assert granted.fence == 2
    assert (await told(daemon))[1].transitions == 2


async def test_a_daemon_that_starts_again_tells_of_the_holder_and_of_his_end(daemon, nursery, virtual_time):
    """It takes the Lease object up though nobody asks: the holder has a full lease from its start on."""
    await acquired(daemon)
    await trio.sleep(LEASE_S - 1)
    after = await started_again(daemon, nursery)
    await trio.sleep(LEASE_S - 1)
    assert await told(after) is not None
    assert (await Door(after, FOUNDER, FOUNDER).ask(AskLease())).holder is not None
    await trio.sleep(1)
    assert await told(after) is None
    assert (await Door(after, FOUNDER, FOUNDER).ask(AskLease())).holder is None


async def test_a_daemon_that_starts_again_tells_of_a_holder_of_whom_no_lease_object_stands(
    daemon, nursery, virtual_time
):
    await acquired(daemon)
    assert await told(daemon) is not None
    after = await started_again(daemon, nursery)
    daemon.cluster.network_leases.clear()
    await trio.sleep(1)
    assert (await Door(after, FOUNDER, FOUNDER).ask(AskLease())).holder is not None
    assert await told(after) is not None


@pytest.mark.parametrize(
    "left",
    [stored.to_bytes(NetworkState(Lease(Fence(1)))), b"by hand", None],
    ids=["released", "edited", "removed"],
)
async def test_a_daemon_that_starts_again_takes_away_what_nobody_holds(left, daemon, nursery, virtual_time):
    """It stopped between the end of a grant and the delete; at first the API server is away."""
    door, granted = await acquired(daemon)
    name, _ = await told(daemon)
    daemon.stopped.cancel()
    await door.ask(Release(granted.attempt, aside=False))
    if left is not None:
        daemon.cluster.networks[name] = (daemon.cluster.with_lease[name], StoredDocument(left, "9"))
    daemon.cluster.unreachable = True
    after = await started_again(daemon, nursery)
    await trio.sleep(2 * TELL_AGAIN_S)
    assert await told(after) is not None
    daemon.cluster.unreachable = False
    await trio.sleep(TELL_AGAIN_S + 1)
    assert await told(after) is None


async def test_questions_about_other_networks_do_not_prolong_a_dead_holders_lease(daemon, virtual_time):
    """Anybody may ask about as many names as he likes: more than there are places in memory."""
    await acquired(daemon)
    await trio.sleep(LEASE_S - 5)
    stranger = address_of(secrets.token_bytes(32))
    for name in (f"n{number}" for number in range(MAX_REMEMBERED + 1)):
        ref = NetworkRef(OWNER, stranger, network_salt(name))
        assert await daemon.networks.answer(ref, ReadBody(network=name), stranger) == Copy()
    _, behind = await acquired(daemon)
    assert 0 < behind.ends_in <= 5000
    await trio.sleep(5)
    _, granted = await acquired(daemon, behind.attempt)
    assert granted.fence == 2
