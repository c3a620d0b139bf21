# SPDX-License-Identifier: Apache-2.0
"""Two people and one network, as the shipped example has it: they take turns, and each hears of the other."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.live.clients.publisher import Json, Publisher, finish
from tests.live.clients.web import get
from tests.live.examples.shipped import script, ship
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.networks.people import People, said, tell
from tests.live.observers.money import Bank
from tests.live.observers.waiting import until

pytestmark = [pytest.mark.live, pytest.mark.soak]
"""A market of two clusters, which goes with this file."""

NETWORK, FILE = "shop", "shop.yaml"


@dataclass(frozen=True)
class Team:
    """Alice and Bob, each with a key, an empty home and the example's folder."""

    people: People
    bob: Publisher

    @property
    def alice(self) -> Publisher:
        return self.people.person

    @property
    def clusters(self) -> list[str]:
        return [f"--cluster={one}" for one in self.people.named]

    @property
    def network(self) -> str:
        """As somebody else than its founder calls it."""
        return f"{self.alice.address}/{NETWORK}"

    def run(self, who: Publisher, *words: str, code: int = 0) -> Json:
        return who.run(*words, *self.clusters, code=code).json

    def in_line(self) -> int:
        """How many wait for a lease: all at the cluster whose provider's address is the least."""
        told = self.run(self.bob, "lock", "status", self.network)["clusters"].values()
        return max(len(one["waiting"]) for one in told)

    def holders(self) -> set[str]:
        """Who holds leases now, as Bob is told."""
        told = self.run(self.bob, "lock", "status", self.network)["clusters"].values()
        return {str(one["holder"]["who"]) for one in told if one["holder"]}


def own_folder(folder: Path, name: str) -> Path:
    (made := folder / name).mkdir()
    return made


@pytest.fixture(scope="module")
def team(pair: LiveLocalnet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    folder = tmp_path_factory.mktemp("people")
    people, bobs = People(pair, own_folder(folder, "alice")), own_folder(folder, "bob")
    made = Team(people, Publisher(pair, Bank(pair).new_account(bobs), bobs))
    alice, bob = made.alice, made.bob
    for who in (alice, bob):
        ship(who, "two-users-lock", ("hello",))
    (alice.folder / "bob.card").write_text(bob.run("network", "card").json["card"])
    script(alice, "team.py", alice.address, bob.address, "bob.card")
    for name in (FILE, "bob.card"):
        shutil.copy(alice.folder / name, bob.folder)
    made.run(alice, "network", "connect", NETWORK)
    made.run(alice, "network", "member", "add", NETWORK, bob.address, "bob.card", "--role", "operator")
    yield made
    people.close()
    made.run(alice, "network", "delete", NETWORK, "--wait", "10m")
    left = made.run(alice, "network", "list")["clusters"].values()
    assert [one["networks"] for one in left] == [[], []]


def test_who_comes_second_is_told_who_holds_it_or_waits(team: Team) -> None:
    holder = team.people.held(NETWORK)
    assert team.holders() == {team.alice.address}
    refused = team.run(team.bob, "network", "apply", FILE, code=5)
    assert f"{team.alice.address} at " in str(refused["error"])
    waiting = []
    for count, who in enumerate((team.alice, team.bob), 1):
        waiting.append(who.start("network", "apply", FILE, "--wait", "10m", *team.clusters, "-o", "json"))
        until("one more is in the line", lambda count=count: team.in_line() == count)
    tell(holder)
    assert said(holder) == "refused members", "Alice's command ends, and lets the leases go"
    applied, found = (finish(one, 0).json for one in waiting)
    assert [one["node"] for one in applied["nodes"]] == ["front", "back"]
    assert found["changes"] == 0, "Bob's turn came when Alice had done all of it"
    for node, url in applied["urls"].items():
        assert get(url, "/cgi-bin/whoami").text.startswith(f"hello from {node}\n")
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
