# SPDX-License-Identifier: Apache-2.0
"""A daemon beside a localnet's own, of the same books, a facade for it on another node, and visitors."""

import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.live.clients import web
from tests.live.clients.publisher import COMMANDS, Json, finish
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.waiting import until
from trustedpods.localnet.market.provider import config_file
from trustedpods.localnet.market.provider_files import facade_config
from trustedpods.localnet.network import enter
from trustedpods.localnet.settings import ClusterNode
from trustedpods.provider.facade.haproxy.config import Bind, FacadeConfig
from trustedpods.provider.facade.haproxy.files import install


def changed(text: str, **values: str) -> str:
    """A configuration with other values of these keys."""
    for key, value in values.items():
        text, count = re.subn(rf"(?m)^{key} = .*$", f"{key} = {value}", text)
        assert count == 1, key
    return text


def without(text: str, *tables: str) -> str:
    """A configuration without these tables."""
    for table in tables:
        text, count = re.subn(rf"(?ms)^\[{table}\]\n.*?(?=^\[|\Z)", "", text)
        assert count == 1, table
    return text


@dataclass
class SecondDaemon:
    """A daemon with keys, a folder and an address of its own, beside the supervised one."""

    market: LiveLocalnet
    folder: Path
    facade: FacadeConfig | None = None
    """On another node; without it the two daemons share one."""
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
        if self.facade is not None:
            text = self._with_facade(without(text, "names", "metrics"), self.facade)
        self.config.write_text(text)
        argv = [*enter(cluster.namespace), str(COMMANDS / "trustedpods-provider"), "serve"]
        with (self.folder / "log").open("w") as log:
            self.process = subprocess.Popen([*argv, "--config", str(self.config)], stdout=log, stderr=log)

    def _with_facade(self, text: str, facade: FacadeConfig) -> str:
        """What the first one listens at is not for both, as they share a node; it may only be frozen."""
        return changed(
            text,
            runtime_socket=f'"{facade.runtime_socket}"',
            map_file=f'"{facade.map_file}"',
            activator_dir=f'"{facade.activator_dir}"',
            wake_socket=f'"{wake_socket(facade)}"',
        )

    def ask(self, *words: str) -> Json:
        argv = [str(COMMANDS / "trustedpods-provider"), *words, "-c", str(self.config), "-o", "json"]
        pipe = subprocess.PIPE
        return finish(subprocess.Popen(argv, stdout=pipe, stderr=pipe, text=True), 0).json

    def serves(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log
        return "serving at" in self.log


@contextmanager
def standing_by(
    market: LiveLocalnet, folder: Path, facade: FacadeConfig | None = None
) -> Iterator[SecondDaemon]:
    """It waits for the first one's end, and is ended with the block."""
    folder.mkdir()
    made = SecondDaemon(market, folder, facade)
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


@contextmanager
def facade_on(market: LiveLocalnet, node: ClusterNode) -> Iterator[FacadeConfig]:
    """HAProxy and an activator on a node that has had none, at port 80 of its address."""
    with tempfile.TemporaryDirectory() as text, ExitStack() as stack:  # a socket's path has 107 bytes
        home = Path(text)
        cluster = market.cluster()
        first = facade_config(market.settings, cluster)
        config = replace(
            first,
            binds=(Bind(f"{node.node_ip}:80"),),
            tcp_binds=(Bind(f"{node.node_ip}:{cluster.ports.tcp}"),),
            tls_binds=(),
            tls_dir=None,
            https_suffix="",
            exporter=None,
            runtime_socket=home / "runtime.sock",
            map_file=home / "hosts.map",
            activator_dir=home / "slots",
            pages_dir=home / "pages",
        )
        install(config, home / "haproxy.cfg")
        inside = enter(node.namespace)
        haproxy = [*inside, "haproxy", "-db", "-f", str(home / "haproxy.cfg")]
        slots = [
            "--slots",
            str(config.pools.http),
            "--h2-slots",
            str(config.pools.h2),
            "--tcp-slots",
            str(config.pools.tcp),
        ]
        activator = [*inside, sys.executable, "-m", "trustedpods.provider.facade.activator.activator"]
        activator += [
            "--sockets",
            str(config.activator_dir),
            *slots,
            "--wake-socket",
            str(wake_socket(config)),
        ]
        for argv in (haproxy, activator):
            process = subprocess.Popen(argv)
            stack.callback(process.wait)
            stack.callback(process.kill)
        until("HAProxy is there", config.runtime_socket.is_socket)
        yield config


def wake_socket(facade: FacadeConfig) -> Path:
    return facade.map_file.with_name("wake.sock")


@dataclass
class Visitor:
    """Asks a pod again and again; keeps what was not answered by 200. *at* is another node's facade."""

    url: str
    at: str = ""
    answered: int = 0
    failed: list[str] = field(default_factory=list)

    def ask(self) -> web.Answer:
        return web.get(self.url, at=self.at)

    @contextmanager
    def asking(self) -> Iterator[None]:
        over = threading.Event()

        def ask() -> None:
            while not over.wait(0.2):
                try:
                    status = self.ask().status
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
