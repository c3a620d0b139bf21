# SPDX-License-Identifier: Apache-2.0
"""A daemon dies, and another one of the same PostgreSQL takes over: pods go on, each second counts once."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.clients import daemons, web
from tests.live.clients.publisher import Json, Publisher
from tests.live.conftest import QUIET, unique
from tests.live.localnet_fixture import LiveLocalnet, localnet
from tests.live.nodes.second_daemon import SecondDaemon, Visitor, standing_by
from tests.live.observers.cluster import replicas
from tests.live.observers.run_times import RunTimes
from tests.live.observers.waiting import until
from tests.provider.store.engines.server import PostgresServer
from trustedpods.localnet.market.provider import config_file
from trustedpods.provider.daemon.leader import LEASE_S

pytestmark = [pytest.mark.live, pytest.mark.soak]

CPU_MILLI = 100
SERVES_WITHIN_S = LEASE_S + 10


def awake(spec: Json) -> None:
    spec["scale"] = {"min": 1, "max": 1}
    spec["containers"][0]["resources"] = {"limits": {"cpu": f"{CPU_MILLI}m", "memory": "64Mi"}}


@pytest.fixture
def market(postgres: PostgresServer) -> Iterator[LiveLocalnet]:
    """A market of its own, whose daemon has its books in PostgreSQL."""
    with postgres.database() as url, localnet(knobs=QUIET) as running:
        file = config_file(running.cluster())
        file.write_text(file.read_text().replace("[store]\n", f'[store]\ndatabase = "{url}"\n'))
        daemons.restart(running)
        yield running


@pytest.fixture
def second(market: LiveLocalnet, tmp_path: Path) -> Iterator[SecondDaemon]:
    with standing_by(market, tmp_path / "second") as made:
        yield made


def die(market: LiveLocalnet) -> None:
    """The daemon's node is gone for good: its supervisor finds nothing that it could start again."""
    file = config_file(market.cluster())
    file.rename(file.with_name("provider.gone"))
    os.kill(market.pid(daemons.part()), signal.SIGKILL)


def test_another_daemon_takes_over_and_every_second_is_billed_once(
    market: LiveLocalnet,
    second: SecondDaemon,
    tmp_path: Path,
) -> None:
    folder = tmp_path / "person"
    folder.mkdir()
    person = Publisher(market, market.publisher_key, folder)
    with RunTimes(market) as seen:
        pod = person.deploy(person.manifest("hello", unique("hello"), awake), "--deposit", "2h")
        (before,) = replicas(market, pod.namespace)
        visitor = Visitor(pod.url)
        with visitor.asking():
            died = time.monotonic()
            die(market)
            until("the second daemon serves", second.serves, SERVES_WITHIN_S + 60)
            took = time.monotonic() - died
            seen_by_then = visitor.answered  # it goes on also when the new daemon has looked at everything
            until("more visitors are answered", lambda: visitor.answered > seen_by_then + 15)
        assert visitor.failed == []
        assert visitor.answered > LEASE_S
        assert took < SERVES_WITHIN_S
        (after,) = replicas(market, pod.namespace)
        assert after["metadata"]["uid"] == before["metadata"]["uid"]
        (told,) = second.ask("pods")
        assert (told["phase"], told["replicas"]) == ("awaiting-key", 1)

        result = person.run("watch", "--once").json
        assert [one["state"] for one in result["pods"]] == ["released"]
        assert web.get(pod.url).status == 200
        first_uid = before["metadata"]["uid"]
        until("the first replica is over", lambda: seen.over(first_uid))
        bill = until("the second replica is claimed", lambda: claimed(second, person, pod.name, seen))
        assert bill["problems"] == []
        until_ = max(line["up_to"] for line in bill["lines"])
        first, next_ = (seen.runs[uid] for uid in seen.uids(pod.namespace))
        assert None not in (first.begun, first.ended, next_.begun)
        assert first.ended <= next_.begun
        ran_s = first.ended - first.begun + until_ - next_.begun
        assert sum(line["cpu_core_ms"] for line in bill["lines"]) == CPU_MILLI * ran_s


def claimed(second: SecondDaemon, person: Publisher, name: str, seen: RunTimes) -> Json | None:
    """The bill by now, once it goes beyond the beginning of the latest replica."""
    second.ask("claim")
    bill: Json = person.run("bill", name).json
    begun = max(run.begun for run in seen.runs.values() if run.begun is not None)
    return bill if max(line["up_to"] for line in bill["lines"]) > begun else None
