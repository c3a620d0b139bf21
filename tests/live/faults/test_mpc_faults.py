# SPDX-License-Identifier: Apache-2.0
"""Three owners' nodes go on signing after whatever befalls one provider, and nothing of others restarts.

Each limit stands in docs/owners.md.
"""

from collections.abc import Callable

import pytest

from tests.live.examples.signing_clients import Client
from tests.live.examples.test_mpc import MpcOwner, SigningNodes, nodes, public, sign, verify
from tests.live.faults.providers import (
    CUT_S,
    FaultyProvider,
    Runs,
    during,
    look_after,
    runs_of,
    within,
    without_node,
)
from tests.live.observers.waiting import until

__all__ = ["nodes", "public"]

pytestmark = [pytest.mark.live, pytest.mark.soak, pytest.mark.timeout(1500)]
"""Six pods with nine replicas over two clusters; one provider is cut off for a minute."""

AFTER_DAEMON_S = 60.0
AFTER_CUT_S = 120.0
AFTER_RELEASE_S = 180.0
AFTER_NEWS_S = 180.0
"""Until a signature comes: once a daemon is back, a cut is over, `watch` released pods, a new address came.
A node waits for others for up to a minute, and tries of clients are sessions of their own."""


def spaces(owner: MpcOwner) -> list[str]:
    """Where the owner's two pods are: its node's and its database's."""
    return [str(one["live"]["namespace"]) for one in owner.run("status", owner.network)["nodes"].values()]


def runs(owners: list[MpcOwner]) -> dict[str, dict[str, Runs]]:
    """Of everything of these owners."""
    return {one.who: {space: runs_of(one.replicas(space)) for space in spaces(one)} for one in owners}


def goes_on(client: Client, public: str, when: str, limit_s: float) -> None:
    """The session signs; requests that fail while something is away are made again."""

    def signs() -> bool:
        said = sign(client)
        assert 410 not in said.statuses, "the session is there still"
        if said.well:
            verify(said, public)
        return said.well

    within(f"a session from before signs {when}", signs, limit_s)


def begins(nodes: SigningNodes, public: str, when: str, limit_s: float) -> None:
    """A new session signs with the key from before."""

    def signs() -> bool:
        client = Client(nodes.sdk)
        said = sign(client) if client.ask("open").well else None
        if said is not None and said.well:
            verify(said, public)
            client.ask("close")
            return True
        return False

    within(f"a new session signs {when}", signs, limit_s)


DAEMON_FAULTS: dict[str, Callable[[FaultyProvider], None]] = {
    "killed": FaultyProvider.kill_daemon,
    "restarted": FaultyProvider.restart_daemon,
}


@pytest.mark.parametrize("fault", DAEMON_FAULTS)
def test_a_daemon_that_goes_and_comes_ends_no_session(nodes: SigningNodes, public: str, fault: str) -> None:
    client, before = nodes.opened(), runs(nodes.owners)
    verify(sign(client), public)
    DAEMON_FAULTS[fault](FaultyProvider(nodes.owners[1].pair, nodes.owners[1].index))
    goes_on(client, public, f"after a daemon was {fault}", AFTER_DAEMON_S)
    begins(nodes, public, f"after a daemon was {fault}", AFTER_DAEMON_S)
    assert runs(nodes.owners) == before
    assert client.ask("close").well


def test_a_provider_that_is_cut_off_for_a_minute_keeps_its_sessions(nodes: SigningNodes, public: str) -> None:
    client, before = nodes.opened(), runs(nodes.owners)
    acme = Client(nodes.sdk[:1])
    verify(sign(client), public)

    def answers() -> None:
        until("Acme's node answers", lambda: acme.ask("nothing").statuses != (0,))

    with FaultyProvider(nodes.owners[1].pair, nodes.owners[1].index).cut_off():
        during(CUT_S, answers)
    goes_on(client, public, "after a cut", AFTER_CUT_S)
    begins(nodes, public, "after a cut", AFTER_CUT_S)
    assert runs(nodes.owners) == before
    assert client.ask("close").well


def test_a_machine_that_restarts_ends_its_sessions_and_nobody_elses_node(
    nodes: SigningNodes, public: str
) -> None:
    acme, others = nodes.owners[0], nodes.owners[1:]
    before, client = runs(others), nodes.opened()
    FaultyProvider(acme.pair, acme.index).reboot(spaces(acme))
    look_after(acme.person)
    begins(nodes, public, "after a machine restarted", AFTER_RELEASE_S)
    assert not sign(client).well, "what was in memory is gone"
    assert runs(others) == before


def test_a_node_at_a_new_port_is_called_there_once_its_owner_said_so(
    nodes: SigningNodes, public: str
) -> None:
    """Last in its file: Bolt's node is another one afterwards, with another key; its shares stay."""
    bolt, others = nodes.owners[1], [nodes.owners[0], nodes.owners[2]]
    before, old = runs(others), bolt.endpoint("mpc")
    bolt.run("apply", without_node(bolt.folder / bolt.file, "node"), "--purge")
    bolt.apply()
    assert bolt.endpoint("mpc") != old
    told = bolt.text("export", bolt.file)
    for other in others:
        other.link({bolt.who: told})
    moved = SigningNodes(nodes.owners, tuple((one.endpoint("sdk"), one.client_key()) for one in nodes.owners))
    begins(moved, public, "after a node came at a new port", AFTER_NEWS_S)
    assert runs(others) == before, "they were told, and not restarted"
