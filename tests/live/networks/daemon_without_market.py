# SPDX-License-Identifier: Apache-2.0
"""`serve --no-market` in the place of a cluster's daemon, and the way to it by `kubectl`."""

import json
import os
import signal
import subprocess
from pathlib import Path
from types import TracebackType

from tests.live.clients import daemons
from tests.live.clients.publisher import COMMANDS, Json, finish
from tests.live.networks.people import SYSTEM, People
from tests.live.observers.waiting import until
from trustedpods.localnet.cluster import binaries
from trustedpods.localnet.network import enter
from trustedpods.localnet.toml_text import toml_text
from trustedpods.provider.config import load_config
from trustedpods.publisher.context import read_market

NUMBER = 7
"""Of the daemon, under the address of the provider whose place it takes: no row of the registry has it."""

PORT = 4701
READY = "keeping documents at "


class DaemonWithoutMarket:
    """While it runs the supervisor stands still, so that nobody brings the provider's daemon back.

    It takes the store of that daemon: a Lease of the cluster is held under its store's name.
    """

    def __init__(self, people: People, index: int) -> None:
        self.people, self.index, self.market = people, index, people.pair
        self.cluster = people.pair.cluster(index)
        self.folder = people.folder / f"without-market-{index}"
        self.called = ""

    def __enter__(self) -> "DaemonWithoutMarket":
        self.folder.mkdir()
        config = self._config()
        (self.folder / "bin").mkdir()
        kubectl = self.folder / "bin" / "kubectl"
        kubectl.write_text(f'#!/bin/sh\nexec {binaries.kube()} kubectl "$@"\n')
        kubectl.chmod(0o700)
        self._supervisor = self.market.supervisor()
        os.kill(self._supervisor, signal.SIGSTOP)
        try:
            self._killed = daemons.kill(self.market, self.index)
            self._log = self.folder / "log"
            argv = [*enter(self.cluster.namespace), str(COMMANDS / "trustedpods-provider"), "serve"]
            with self._log.open("wb") as log:
                self._process = subprocess.Popen(
                    [*argv, "--no-market", "--config", str(config)], stdout=log, stderr=log
                )
            self.called = str(until("it keeps documents", self._said))
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        process = getattr(self, "_process", None)
        if process is not None:
            process.terminate()
            process.wait()
        os.kill(self._supervisor, signal.SIGCONT)
        if kind is None:
            until(
                "the provider is back",
                lambda: self.market.parts()[daemons.part(self.index)]["state"] == "ready",
            )

    def _said(self) -> str | None:
        assert self._process.poll() is None, self._log.read_text()
        lines = [line for line in self._log.read_text().splitlines() if READY in line]
        return lines[0].partition(READY)[2] if lines else None

    def _config(self) -> Path:
        provider = load_config(self.cluster.path("provider.toml"))
        listen = [f"/ip4/{host}/tcp/{PORT}" for host in (self.cluster.node_ip, "127.0.0.1")]
        market = read_market(self.market.market_file)
        path = self.folder / "documents.toml"
        path.write_text(
            toml_text(
                {
                    "market": {"chain_id": market.chain_id, "payments": market.payments},
                    "identity": {
                        "owner": provider.identity.owner,
                        "daemon": NUMBER,
                        "keys_dir": self.folder / "keys",
                    },
                    "net": {"listen": listen},
                    "cluster": {"kubeconfig": provider.cluster.kubeconfig},
                    "store": {"path": provider.store.path},
                }
            )
        )
        return path

    def doctor(self) -> dict[str, str]:
        """The state of each part."""
        argv = [
            *enter(self.cluster.namespace),
            str(COMMANDS / "trustedpods-provider"),
            "doctor",
            "--no-market",
        ]
        argv += ["--config", str(self.folder / "documents.toml"), "-o", "json"]
        ran = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
        return {one["part"]: one["state"] for one in json.loads(ran.stdout)}

    def forwarded(self, context: str) -> str:
        """The daemon by a context of the kubeconfig, with the peer that must answer."""
        return f"{self._peer()}@kube:{context}"

    def _peer(self) -> str:
        who, _, address = self.called.partition("@")
        return f"{who}@/p2p/{address.rpartition('/')[2]}"

    def start(self, *words: str, clusters: list[str], user: str = "admin") -> "subprocess.Popen[str]":
        """`trustedpods` with `kubectl` on its path, as that user of the cluster."""
        named = [part for one in clusters for part in ("--cluster", one)]
        environment = self.people.person.environment()
        environment["PATH"] = f"{self.folder / 'bin'}:{environment['PATH']}"
        environment["KUBECONFIG"] = str(self.cluster.path("pki", f"{user}.conf"))
        pipe = subprocess.PIPE
        argv = [str(COMMANDS / "trustedpods"), *words, *named, "-o", "json"]
        return subprocess.Popen(argv, env=environment, stdout=pipe, stderr=pipe, text=True)

    def run(self, *words: str, clusters: list[str], code: int = 0) -> Json:
        """The same, as the administrator; it must end with *code*. No clusters: those of the context."""
        return finish(self.start(*words, clusters=clusters), code).json

    def publish(self) -> None:
        """The objects of docs/operator.md: a Service, and a pod on the daemon's node that it leads to."""
        labels = {"trustedpods.dev/leads-to": "daemon"}
        container = {
            "name": "way",
            "image": binaries.BUSYBOX,
            "imagePullPolicy": "Never",
            "command": ["sleep", "3600"],
            "ports": [{"name": "daemon", "containerPort": PORT}],
        }
        metadata = {"name": "trustedpods-daemon", "namespace": SYSTEM}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": metadata | {"labels": labels},
            "spec": {"hostNetwork": True, "automountServiceAccountToken": False, "containers": [container]},
        }
        ports = [{"name": "daemon", "port": PORT, "targetPort": "daemon"}]
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata | {"annotations": {"trustedpods.dev/daemon": self._peer()}},
            "spec": {"clusterIP": "None", "selector": labels, "ports": ports},
        }
        account = {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "default", "namespace": SYSTEM},
        }
        self.market.apply(account, service, pod, index=self.index)
        phase = ("-n", SYSTEM, "get", "pod", "trustedpods-daemon", "-o", "jsonpath={.status.phase}")
        until("the way is there", lambda: self.market.kubectl(*phase, index=self.index) == "Running")

    def unpublish(self) -> None:
        """Take the Service away, and the pod."""
        gone = ("delete", "service,pod", "trustedpods-daemon", "--grace-period=0", "--force", "--wait=false")
        self.market.kubectl("-n", SYSTEM, *gone, index=self.index)
