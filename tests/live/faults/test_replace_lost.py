# SPDX-License-Identifier: Apache-2.0
"""A provider is gone for good: its node comes again at another one, with the files of its last backup."""

import sys
from pathlib import Path

import pytest
import yaml

from tests.fakes.images.example_images import build
from tests.live.clients.publisher import Json, Publisher
from tests.live.commands import running as commands
from tests.live.faults.providers import FaultyProvider, runs_of
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.cluster import replicas
from tests.live.observers.money import Bank
from tests.live.observers.waiting import until
from trustedpods.localnet.cluster import binaries
from trustedpods.localnet.market import accounts

pytestmark = [pytest.mark.live, pytest.mark.soak, pytest.mark.timeout(900)]
"""Two clusters; the notice on the dead provider's channel lasts a minute."""

SHOP, FILE = "shop", "shop.yaml"


class Team:
    """One person with two clusters: `db` keeps something and is moved, `beside` is to notice nothing."""

    def __init__(self, pair: LiveLocalnet, folder: Path) -> None:
        self.person = Publisher(pair, Bank(pair).new_account(folder), folder)
        self.pair, self.folder = pair, folder
        owners = [accounts.address(accounts.owner_key(pair.cluster(index))) for index in (1, 2)]
        self.named = [f"--cluster=k{index}={owner}/1" for index, owner in enumerate(owners, 1)]
        self.store = f"--store={folder / 'backups'}"
        build.build("redis", binaries.image("redis").parent)
        self.person.manifest("hello", "hello", _always_one)
        self.person.manifest("redis", "redis")

    def write(self, place: str) -> None:
        nodes = [
            {"name": "beside", "pod": "hello.yaml", "cluster": "k1"},
            {"name": "db", "pod": "redis.yaml", "cluster": place},
        ]
        tree = {"apiVersion": "trustedpods/v1", "kind": "Network", "metadata": {"name": SHOP}}
        (self.folder / FILE).write_text(yaml.safe_dump(tree | {"spec": {"nodes": nodes}}))

    def run(self, verb: str, *words: str, code: int = 0) -> Json:
        """By the cluster that lives: the other one is found by the document, or is lost."""
        return self.person.run("network", verb, *words, self.named[0], code=code).json

    def node(self, name: str) -> Json:
        return dict(self.run("status", SHOP)["nodes"][name])

    def redis(self, *words: str) -> bytes:
        return commands.check(self.person, self.node("db")["pod"], "--", "redis-cli", "-e", *words)


def _always_one(spec: Json) -> None:
    spec["scale"] = {"min": 1, "max": 1}


def _from_a_backup(spec: Json) -> None:
    next(one for one in spec["volumes"] if one["name"] == "data")["seed"] = {"backup": True}


def test_a_node_of_a_dead_provider_comes_again_from_its_last_backup(
    pair: LiveLocalnet, tmp_path: Path
) -> None:
    team = Team(pair, tmp_path)
    team.write("k2")
    team.person.run("network", "connect", SHOP, *team.named)
    team.run("apply", FILE)
    pod, beside = team.node("db")["pod"], team.node("beside")["live"]["namespace"]
    team.redis("set", "greeting", "hello")
    team.redis("save")
    made = team.run("backup", SHOP, "db", team.store)["nodes"]["db"]
    team.redis("set", "greeting", "newer than the backup")
    channel, before = team.person.run("status", pod).json["channel"], runs_of(replicas(pair, beside))

    with FaultyProvider(pair, 2).cut_off():
        assert team.run("apply", FILE, code=8)["error"]["exit"] == 8, "what does not answer is not lost"
        team.run("lost", SHOP, "k2", "--reason", "its machine burnt")
        team.person.manifest("redis", "redis", _from_a_backup)
        team.write("k1")
        planned = {one["node"]: one for one in team.run("plan", FILE, team.store, code=10)["outlook"]}
        assert (planned["beside"]["effect"], planned["db"]["effect"]) == ("unchanged", "recreate")
        assert planned["db"]["why"].startswith(f"from backup of {made['name'][:4]}-")
        assert team.run("apply", FILE, code=6)["error"]["rule"] == "lost-nodes"
        done = team.person.run("network", "apply", FILE, "--replace-lost", team.store, team.named[0])
        sys.stderr.write(done.err)
        assert team.redis("get", "greeting") == b"hello\n"
        assert team.person.run("status", pod).json["channel"] != channel
        assert runs_of(replicas(pair, beside)) == before
        assert team.run("apply", FILE)["changes"] == 0

        def paid_back() -> bool:
            (one,) = team.person.run("close", channel).json["channels"]
            return one["state"] in ("closed", "released")

        until("the dead provider's deposit comes back", paid_back)
        assert team.redis("get", "greeting") == b"hello\n"
    team.run("delete", SHOP, "--purge")
