# SPDX-License-Identifier: Apache-2.0
"""A chain of two owners goes on after whatever befalls one provider, and nothing of the other owner restarts.

Each limit stands in docs/owners.md.
"""

import json
from collections.abc import Callable

import pytest

from tests.live.examples.chain_node import have_same
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
from tests.live.networks.test_two_orgs import TwoOrganisations, two
from tests.live.networks.two_orgs import FILE, NETWORK, Organisation
from tests.live.observers.waiting import until

__all__ = ["two"]

pytestmark = [pytest.mark.live, pytest.mark.soak, pytest.mark.timeout(1500)]
"""The first test brings two clusters and three nodes up; one provider is cut off for a minute."""

AFTER_DAEMON_S = 30.0
AFTER_CUT_S = 60.0
AFTER_RELEASE_S = 120.0
AFTER_NEWS_S = 60.0
"""Until heights meet: once a daemon is back, a cut is over, `watch` released pods, a new address came."""

STALL_S = 30.0
"""So long at most Acme's chain is without a block, whoever is away: one comes each two seconds."""


def runs_at(owner: Organisation, *namespaces: str) -> dict[str, Runs]:
    """Of all replicas in the *namespaces* of an owner's nodes."""
    listed = ("get", "pods", "-o", "json")
    found = [owner.pair.kubectl("-n", one, *listed, index=owner.index) for one in namespaces]
    return {one: runs_of(json.loads(text)["items"]) for one, text in zip(namespaces, found, strict=True)}


def acmes(two: TwoOrganisations) -> dict[str, Runs]:
    return runs_at(two.acme, *two.spaces.values())


def meets(two: TwoOrganisations, place: str, when: str, limit_s: float) -> None:
    """Blocks grow, and Acme's `boot` and Bolt's node in *place* have the same."""
    guest, above = two.bolt.node(place), two.boot.told_height()
    within(f"heights meet {when}", lambda: have_same([two.boot, guest], above), limit_s)


DAEMON_FAULTS: dict[str, Callable[[FaultyProvider], None]] = {
    "killed": FaultyProvider.kill_daemon,
    "restarted": FaultyProvider.restart_daemon,
}


@pytest.mark.parametrize("whose", ["acme", "bolt"])
@pytest.mark.parametrize("fault", DAEMON_FAULTS)
def test_a_daemon_that_goes_and_comes_restarts_nothing_at_all(
    two: TwoOrganisations, fault: str, whose: str
) -> None:
    place = two.bolt.namespace("node")
    before = acmes(two), runs_at(two.bolt, place)
    DAEMON_FAULTS[fault](FaultyProvider(two.bolt.pair, getattr(two, whose).index))
    meets(two, place, f"after {whose}'s daemon was {fault}", AFTER_DAEMON_S)
    assert (acmes(two), runs_at(two.bolt, place)) == before
    for owner in (two.acme, two.bolt):
        assert owner.run("apply", FILE)["changes"] == 0


@pytest.mark.parametrize("whose", ["acme", "bolt"])
def test_a_provider_that_is_cut_off_for_a_minute_catches_up_alone(two: TwoOrganisations, whose: str) -> None:
    place = two.bolt.namespace("node")
    before, boot, guest = (acmes(two), runs_at(two.bolt, place)), two.boot, two.bolt.node(place)

    def grows() -> None:
        there = boot.told_height()
        until("blocks grow at Acme's, which signs", lambda: boot.height() > there, STALL_S)

    with FaultyProvider(two.bolt.pair, getattr(two, whose).index).cut_off():
        at = guest.told_height()
        during(CUT_S, grows)
        assert guest.height() <= at + 1, "nothing came through"
    meets(two, place, f"after {whose}'s provider was cut off", AFTER_CUT_S)
    assert (acmes(two), runs_at(two.bolt, place)) == before


@pytest.mark.parametrize("whose", ["acme", "bolt"])
def test_a_machine_that_restarts_comes_back_by_its_owners_watch(two: TwoOrganisations, whose: str) -> None:
    place = two.bolt.namespace("node")
    mine, other = (two.acme, two.bolt) if whose == "acme" else (two.bolt, two.acme)
    spaces = {"acme": list(two.spaces.values()), "bolt": [place]}
    stays = spaces["bolt" if whose == "acme" else "acme"]
    before, lost = runs_at(other, *stays), runs_at(mine, *spaces[whose])
    FaultyProvider(two.bolt.pair, mine.index).reboot(spaces[whose])
    look_after(mine.person)
    meets(two, place, f"after {whose}'s machine restarted", AFTER_RELEASE_S)
    assert runs_at(other, *stays) == before
    assert runs_at(mine, *spaces[whose]) != lost, "the fault befell it"


def test_a_node_at_a_new_port_is_called_there_once_its_owner_said_so(two: TwoOrganisations) -> None:
    """Last in its file: Bolt's node is another one afterwards, with another key, port and chain data."""
    bolt, before = two.bolt, acmes(two)

    def published() -> str:
        (one,) = [each["url"] for each in bolt.run("endpoints", NETWORK)["endpoints"]]
        return str(one)

    old = published()
    bolt.run("apply", without_node(bolt.folder / FILE, "node"), "--purge")
    bolt.run("apply", FILE)
    assert published() != old
    told = two.acme.receive("moved", bolt.text("export", FILE, "--for", "acme"))
    two.acme.run("import", NETWORK, told)
    two.acme.run("apply", FILE)
    meets(two, bolt.namespace("node"), "after Bolt's node came at a new port", AFTER_NEWS_S)
    assert acmes(two) == before, "Acme's nodes were told, and not restarted"
