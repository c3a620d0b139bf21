# SPDX-License-Identifier: Apache-2.0
"""A database's volume is backed up while it runs; the pod is wiped, deployed anew, and has its data again."""

from pathlib import Path

import pytest

from tests.live.clients.publisher import Json, Publisher, finish
from tests.live.commands import running as commands
from tests.live.commands.test_databases import shipped
from tests.live.localnet_fixture import LiveLocalnet

pytestmark = pytest.mark.live


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
