# SPDX-License-Identifier: Apache-2.0
"""Two people and one network, as the shipped example has it: they take turns, and each hears of the other."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.live.clients.publisher import Json, Publisher, finish
from tests.live.clients.web import get
from tests.live.examples.shipped import script, ship
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.money import Bank
from tests.live.observers.waiting import until
from trustedpods.localnet.market import accounts

pytestmark = [pytest.mark.live, pytest.mark.soak]
"""A market of two clusters, which goes with this file."""

NETWORK, FILE = "shop", "shop.yaml"


@dataclass(frozen=True)
class Team:
    """Alice and Bob, each with a key, an empty home and the example's folder."""

    alice: Publisher
    bob: Publisher
    clusters: list[str]

    @property
    def network(self) -> str:
        """As somebody else than its founder calls it."""
        return f"{self.alice.address}/{NETWORK}"

    def run(self, who: Publisher, *words: str, code: int = 0) -> Json:
        return who.run(*words, *self.clusters, code=code).json

    def holders(self) -> set[str]:
        """Who holds leases now, as Bob is told."""
        told = self.run(self.bob, "lock", "status", self.network)["clusters"].values()
        return {str(one["holder"]["who"]) for one in told if one["holder"]}


@pytest.fixture(scope="module")
def team(pair: LiveLocalnet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    folder, bank = tmp_path_factory.mktemp("people"), Bank(pair)
    people = []
    for name in ("alice", "bob"):
        (own := folder / name).mkdir()
        people.append(Publisher(pair, bank.new_account(own), own))
        ship(people[-1], "two-users-lock", ("hello",))
    alice, bob = people
    (alice.folder / "bob.card").write_text(bob.run("network", "card").json["card"])
    script(alice, "team.py", alice.address, bob.address, "bob.card")
    for name in (FILE, "bob.card"):
        shutil.copy(alice.folder / name, bob.folder)
    owners = [accounts.address(accounts.owner_key(one)) for one in pair.settings.all_clusters()]
    made = Team(alice, bob, [f"--cluster=k{number}={who}/1" for number, who in enumerate(owners, 1)])
    made.run(alice, "network", "connect", NETWORK)
    made.run(alice, "network", "member", "add", NETWORK, bob.address, "bob.card", "--role", "operator")
    yield made
    made.run(alice, "network", "delete", NETWORK)


def test_who_comes_second_is_told_who_holds_it_or_waits(team: Team) -> None:
    applying = team.alice.start("network", "apply", FILE, *team.clusters, "-o", "json")

    def held() -> bool:
        """Whether Alice has them; a command of hers that ended before that says why."""
        if applying.poll() is not None:
            raise AssertionError(f"Alice's apply ended unseen: {finish(applying, 0)}")
        return team.holders() == {team.alice.address}

    until("Alice holds the leases of both clusters", held)
    refused = team.run(team.bob, "network", "apply", FILE, code=5)
    assert team.alice.address in str(refused["error"])
    waited = team.run(team.bob, "network", "apply", FILE, "--wait", "10m")
    assert waited["changes"] == 0, "Alice had done all of it by then"
    applied = finish(applying, 0).json
    assert [one["node"] for one in applied["nodes"]] == ["front", "back"]
    assert get(applied["urls"]["front"]).status == 200
    assert team.holders() == set()
    verbs = [
        (one["by"], one["result"])
        for one in team.run(team.bob, "history", team.network)["commands"]
        if one["verb"] == "network apply"
    ]
    assert verbs == [(team.alice.address, "done")]
    copies = team.run(team.bob, "state", "compare", team.network)
    assert copies["difference"] == ""
    assert len({json.dumps(one["generation"]) for one in copies["clusters"].values()}) == 1
