# SPDX-License-Identifier: Apache-2.0
"""A database's volume is backed up while it runs; the pod is wiped, deployed anew, and has its data again."""

import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.live.clients.publisher import Deployed, Json, Publisher, finish
from tests.live.commands import running as commands
from tests.live.commands.test_databases import shipped
from tests.live.conftest import unique
from tests.live.examples.shipped import BUILD_LIMIT_S
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.money import Bank
from tests.live.observers.waiting import until
from tests.paths import IMAGES
from trustedpods.localnet.cluster import binaries
from trustedpods.localnet.market import accounts

pytestmark = pytest.mark.live

ROOM_SECRET = "marker-of-the-rooms-secret"


def waiting(spec: Json) -> None:
    """Its data volume begins with a backup."""
    next(one for one in spec["volumes"] if one["name"] == "data")["seed"] = {"backup": True}


def test_redis_wiped_and_restored(market: LiveLocalnet, publisher: Publisher, tmp_path: Path) -> None:
    pod = shipped(publisher, "redis")
    folder = ("--store", str(tmp_path / "backups"))

    def redis(name: str, *words: str) -> bytes:
        return commands.check(publisher, name, "--", "redis-cli", "-e", *words)

    redis(pod.name, "set", "greeting", "hello")
    made = publisher.run("backup", pod.name, *folder, "--quiesce", "redis-cli save").json
    assert [(one["volume"], one["ordinal"]) for one in made["volumes"]] == [("data", 0)]
    checked = publisher.run("backup", pod.name, *folder, "--verify").json
    assert checked["backups"][0]["size"] == made["size"] > 0
    (sealed,) = (tmp_path / "backups" / pod.name / "data" / made["name"]).iterdir()
    assert b"hello" not in sealed.read_bytes()
    redis(pod.name, "set", "greeting", "newer")
    publisher.run("delete", pod.name, "--purge")

    file = publisher.manifest("redis", pod.name, waiting)
    again = publisher.start("deploy", file.name, "-o", "json")
    try:
        restored = publisher.run("restore", pod.name, *folder, "--wait", "3m").json
        assert restored["backup"] == made["name"]
    finally:
        finish(again, 0)
    assert redis(pod.name, "get", "greeting") == b"hello\n"
    redis(pod.name, "set", "greeting", "newest")
    refused = publisher.run("restore", pod.name, *folder, "--wait", "5s", code=6).json
    assert refused["error"]["rule"] == "no-restore"
    assert redis(pod.name, "get", "greeting") == b"newest\n"


class Keeper(Publisher):
    """A person whose commands know the room's secret."""

    def environment(self, home: Path | None = None) -> dict[str, str]:
        keys = {"AWS_ACCESS_KEY_ID": "room", "AWS_SECRET_ACCESS_KEY": ROOM_SECRET}
        return {**super().environment(home), **keys}


def room_at(keeper: Keeper, provider: str, host: str) -> tuple[Deployed, str]:
    """The shipped room at a provider of its own, and the place of its bucket by that one's address."""
    images = ("backup-room", "redis")
    build = [sys.executable, str(IMAGES / "build.py"), *images, "--out", str(binaries.cache() / "images")]
    subprocess.run(build, check=True, capture_output=True, timeout=BUILD_LIMIT_S)
    (keeper.folder / "room-secret").write_text(ROOM_SECRET)

    def small(spec: Json) -> None:
        spec["volumes"][0]["persistent"] = {"size": "64Mi"}
        spec["scale"]["idleAfter"] = "2s"

    room = keeper.deploy(keeper.manifest("backup-room", unique("room"), small), "--provider", provider)
    (url,) = [one["url"] for one in room.result["endpoints"]]
    return room, f"s3+http://{host}:{urlsplit(url).port}/backups"


def asleep(keeper: Keeper, room: Deployed) -> bool:
    return bool(keeper.run("status", room.name).json["replicas"] == 0)


@pytest.mark.soak
def test_backups_are_kept_by_a_pod_of_ones_own_at_another_provider(
    pair: LiveLocalnet, tmp_path: Path
) -> None:
    """It sleeps in between; what lies there is sealed."""
    keeper = Keeper(pair, Bank(pair).new_account(tmp_path), tmp_path)
    here, there = (f"{accounts.address(accounts.owner_key(one))}/1" for one in pair.settings.all_clusters())
    room, place = room_at(keeper, there, pair.facade(2)[0])
    pod = keeper.deploy(keeper.manifest("redis", unique("redis")), "--provider", here)
    commands.check(keeper, pod.name, "--", "redis-cli", "-e", "set", "greeting", "hello")
    until("the room sleeps", lambda: asleep(keeper, room))
    made = keeper.run("backup", pod.name, "--store", place, "--quiesce", "redis-cli save").json
    checked = keeper.run("backup", pod.name, "--store", place, "--verify").json
    assert checked["backups"][0]["size"] == made["size"] > 0
    keeper.run("delete", pod.name, "--purge")

    again = keeper.start("deploy", keeper.manifest("redis", pod.name, waiting).name, "-o", "json")
    try:
        assert (
            keeper.run("restore", pod.name, "--store", place, "--wait", "3m").json["backup"] == made["name"]
        )
    finally:
        finish(again, 0)
    assert commands.check(keeper, pod.name, "--", "redis-cli", "-e", "get", "greeting") == b"hello\n"
    found = keeper.run("backup", pod.name, "--store", place, "--list").json["backups"]
    assert [one["name"] for one in found] == [made["name"]]
    keeper.run("delete", room.name, "--purge")
