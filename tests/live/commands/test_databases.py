# SPDX-License-Identifier: Apache-2.0
"""The example databases as they are shipped: written to, backed up by `exec`, started anew, restored."""

import pytest

from tests.fakes.images.example_images import build
from tests.live.clients.publisher import Deployed, Publisher
from tests.live.commands import running as commands
from tests.live.conftest import unique
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.cluster import replicas
from tests.live.observers.waiting import until
from trustedpods.localnet.cluster import binaries

pytestmark = pytest.mark.live

COUNT = "select count(*), sum(n) from numbers"
SUM = b"1000|500500\n"
OVER_TCP = 'for word; do PGPASSWORD=$word psql -h 127.0.0.1 -Atc "select 1" 2>/dev/null; echo $?; done'


def shipped(publisher: Publisher, example: str) -> Deployed:
    """The example, with nothing changed but its name. Its image is only built for this."""
    build.build(example, binaries.image(example).parent)
    return publisher.deploy(publisher.manifest(example, unique(example)))


def starts_anew(market: LiveLocalnet, publisher: Publisher, pod: Deployed) -> None:
    """The pod's replica is deleted; its successor is ready."""
    [before] = replicas(market, pod.namespace)
    market.kubectl("-n", pod.namespace, "delete", "pod", "pod-0", "--wait=false")

    def ready() -> bool:
        found = [one["metadata"]["uid"] for one in replicas(market, pod.namespace)]
        status = publisher.run("status", pod.name).json
        return found not in ([], [before["metadata"]["uid"]]) and status["ready"] == 1

    until("its successor is ready", ready)


def test_postgres(market: LiveLocalnet, publisher: Publisher) -> None:
    pod = shipped(publisher, "postgres")

    def sql(text: str) -> bytes:
        return commands.check(publisher, pod.name, "--", "psql", "-qAtc", text)

    sql("create table numbers as select generate_series(1, 1000) as n")
    backup = commands.check(publisher, pod.name, "--", "pg_dump", "--clean", "--if-exists")
    starts_anew(market, publisher, pod)
    assert sql(f"{COUNT}; delete from numbers") == SUM
    commands.check(publisher, pod.name, "--", "psql", "-q", "-1", "-v", "ON_ERROR_STOP=1", data=backup)
    assert sql(COUNT) == SUM
    said = commands.check(publisher, pod.name, "--", "sh", "-c", OVER_TCP, "sh", "change-me", "wrong")
    assert said == b"1\n0\n2\n"


@pytest.mark.soak  # another one of a kind; a wiped one comes back in test_backups.py
def test_redis(market: LiveLocalnet, publisher: Publisher) -> None:
    pod = shipped(publisher, "redis")

    def redis(*words: str) -> bytes:
        return commands.check(publisher, pod.name, "--", "redis-cli", "-e", *words)

    redis("set", "greeting", "hello")
    backup = commands.check(publisher, pod.name, "--", "redis-cli", "--rdb", "-")
    starts_anew(market, publisher, pod)
    assert redis("get", "greeting") == b"hello\n"
    redis("set", "greeting", "another")
    assert (
        commands.run(publisher, pod.name, "--", "load-dump", data=backup[:60]).code == 1
    )  # redis-cli adds 40 bytes
    commands.check(publisher, pod.name, "--", "load-dump", data=backup)
    words = (pod.name, "--", "redis-cli", "-e", "get", "greeting")
    until("it holds the backup", lambda: commands.run(publisher, *words).out == b"hello\n")
