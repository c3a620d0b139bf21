# SPDX-License-Identifier: Apache-2.0
"""A daemon dies, and another one of the same PostgreSQL takes over: pods go on, each second counts once."""

import os
import re
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.live.clients import daemons, web
from tests.live.clients.publisher import COMMANDS, Json, Publisher, finish
from tests.live.conftest import QUIET, unique
from tests.live.localnet_fixture import LiveLocalnet, localnet
from tests.live.observers.cluster import replicas
from tests.live.observers.run_times import RunTimes
from tests.live.observers.waiting import until
from tests.provider.store.engines.server import PostgresServer
from trustedpods.localnet.market.provider import config_file
from trustedpods.localnet.network import enter
from trustedpods.provider.daemon.leader import LEASE_S

pytestmark = [pytest.mark.live, pytest.mark.soak]

CPU_MILLI = 100
SERVES_WITHIN_S = LEASE_S + 10


def awake(spec: Json) -> None:
    spec["scale"] = {"min": 1, "max": 1}
    spec["containers"][0]["resources"] = {"limits": {"cpu": f"{CPU_MILLI}m", "memory": "64Mi"}}


def changed(text: str, **values: str) -> str:
    """A configuration with other values of these keys."""
    for key, value in values.items():
        text, count = re.subn(rf"(?m)^{key} = .*$", f"{key} = {value}", text)
        assert count == 1, key
    return text


@dataclass
class SecondDaemon:
    """A daemon with keys, a folder and an address of its own, beside the supervised one."""

    market: LiveLocalnet
    folder: Path
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def config(self) -> Path:
        return self.folder / "provider.toml"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def start(self, keys: str) -> None:
        cluster = self.market.cluster()
        text = changed(
            config_file(cluster).read_text(),
            keys_dir=f'"{keys}"',
            path=f'"{self.folder}/store/store.db"',
            spool=f'"{self.folder}/spool"',
            tls_binds="[]",  # HAProxy has the certificates of the first one's keys
        )
        text = text.replace(f"/tcp/{cluster.ports.peer}", f"/tcp/{cluster.ports.peer + 5000}")
        self.config.write_text(text)
        argv = [*enter(cluster.namespace), str(COMMANDS / "trustedpods-provider"), "serve"]
        with (self.folder / "log").open("w") as log:
            self.process = subprocess.Popen([*argv, "--config", str(self.config)], stdout=log, stderr=log)

    def ask(self, *words: str) -> Json:
        argv = [str(COMMANDS / "trustedpods-provider"), *words, "-c", str(self.config), "-o", "json"]
        pipe = subprocess.PIPE
        return finish(subprocess.Popen(argv, stdout=pipe, stderr=pipe, text=True), 0).json

    def serves(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log
        return "serving at" in self.log


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
    folder = tmp_path / "second"
    folder.mkdir()
    made = SecondDaemon(market, folder)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as keys:
        made.start(keys)
        try:
            until("it stands by", lambda: made.serves() or "standing by" in made.log)
            yield made
        finally:
            assert made.process is not None
            made.process.send_signal(signal.SIGTERM)
            try:
                made.process.wait(20)
            finally:
                made.process.kill()


@dataclass
class Visitor:
    """Asks a pod again and again; keeps what was not answered by 200."""

    url: str
    answered: int = 0
    failed: list[str] = field(default_factory=list)

    @contextmanager
    def asking(self) -> Iterator[None]:
        over = threading.Event()

        def ask() -> None:
            while not over.wait(0.2):
                try:
                    status = web.get(self.url).status
                except Exception as error:  # noqa: BLE001 - whatever it is, a visitor was not answered
                    self.failed.append(repr(error))
                    continue
                if status == 200:
                    self.answered += 1
                else:
                    self.failed.append(str(status))

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


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
