# SPDX-License-Identifier: Apache-2.0
"""A pod's life in the guest, by the commands that a publisher and an operator type outside of it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx

from tests.localnet.guest.configurations import STATE, one_cluster
from tests.localnet.guest.pod_ports import ASKED, reached_from_a_pod
from tests.paths import ROOT
from trustedpods.localnet.cluster import binaries
from trustedpods.localnet.folders import replace_link

Json = dict[str, Any]

NAME = "hello-guest"
OWN_PORT = 8080
"""The pod's: that it is reached shows that the asking itself works."""

COMMAND_LIMIT_S = 240.0
LIMIT_S = 120.0


class Story:
    """Commands of a publisher and of the operator, and what the cluster has; *inside* enters the guest."""

    def __init__(self, folder: Path, outside: Path, address: str, inside: list[str]) -> None:
        self._folder, self._outside, self._address, self._inside = folder, outside, address, inside
        self._config = folder / "register.toml"

    def tell(self) -> Json:
        """Register, deploy, sleep, wake, serve, be billed; what was seen of it."""
        self._register()
        deployed = self._publisher(
            "deploy", str(self._manifest()), "--name", NAME, "--deposit", "1d", "--trust", "open"
        )
        namespace, url = deployed["namespace"], deployed["endpoints"][0]["url"]
        self._until(lambda: self._pods(namespace) == 0)
        answer = self._get(url)
        awake = self._pods(namespace)
        from_pod = self._from_a_pod(namespace, url)
        (replica,) = self._running(namespace)
        asked = self._ask_from_outside()
        self._operator("claim", "--prepare")
        bill = self._publisher("bill", NAME)
        return {
            "status": answer.status_code,
            "text": answer.text,
            "awake": awake,
            "namespace": namespace,
            "the node's users": replica["spec"].get("hostUsers", True),
            "from a pod": from_pod,
            "asked from outside": asked,
            "billed": int(bill["total_units"]),
            "problems": bill["problems"],
        }

    def _register(self) -> None:
        """By the owner's key, which the machine never has: a copy of the settings outside names it."""
        (key,) = (self._outside / "k1/accounts").glob("owner.key")
        text = (one_cluster().path("provider.toml")).read_text()
        place = text.index("operator_key_file")
        self._config.write_text(f'{text[:place]}owner_key_file = "{key}"\n{text[place:]}')
        self._operator("register")

    def _ask_from_outside(self) -> Json:
        """The operator's verbs over the machine's one port, where the row leads."""
        told = {"pods": [pod["label"] for pod in self._remote("pods")]}
        self._remote("drain", "--hours", "1", "--reason", "new disks")
        told["draining"] = self._remote("health")["draining"]
        self._remote("drain", "--undo")
        told["afterwards"] = self._remote("health")["draining"]
        return told

    def _remote(self, verb: str, *words: str) -> Any:
        argv = [str(_bin("trustedpods-provider")), verb, "--config", str(self._config), "--remote", "row"]
        return _run([*argv, *words, "-o", "json"], self._environment())

    def _manifest(self) -> Path:
        replace_link(self._folder / "hello.tar", binaries.image("hello"))
        file = self._folder / "hello.yaml"
        text = (ROOT / "manifests/examples/hello.yaml").read_text()
        file.write_text(text.replace("\nspec:\n", "\nspec:\n  hostUsers: false\n"))
        return file

    def _publisher(self, *words: str) -> Json:
        return _run([str(_bin("trustedpods")), *words, "-o", "json"], self._environment())

    def _operator(self, *words: str) -> Json:
        argv = [str(_bin("trustedpods-provider")), words[0], "--config", str(self._config), *words[1:]]
        return _run([*self._inside, *argv, "-o", "json"], self._environment())

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "HOME": str(self._folder),
            "TRUSTEDPODS_MARKET": str(self._outside / "market.toml"),
            "TRUSTEDPODS_KEY": str(self._outside / "publisher.key"),
        }

    def _get(self, url: str) -> httpx.Response:
        """From the card, by the host's name in its header."""
        target = httpx.URL(url).copy_with(host=self._address)
        return httpx.get(
            target, headers={"Host": httpx.URL(url).netloc.decode()}, timeout=90, trust_env=False
        )

    def _from_a_pod(self, namespace: str, url: str) -> list[str]:
        """What takes a connection from inside the pod, which requests keep awake while it is asked."""
        (pod,) = self._running(namespace)
        cluster, uid = one_cluster(), pod["metadata"]["uid"]
        own, service = pod["status"]["podIP"], str(ip_network(cluster.service_network)[1])
        addresses = (own, "127.0.0.1", self._address, cluster.node_ip, service)
        with ThreadPoolExecutor(1) as pool:
            asking = pool.submit(reached_from_a_pod, uid, addresses, (*ASKED, OWN_PORT))
            while not asking.done():
                self._get(url)
                time.sleep(0.2)
        if [one["metadata"]["uid"] for one in self._running(namespace)] != [uid]:
            raise SystemExit("the pod ended while its ports were asked")
        return [place.replace(own, "own") for place in asking.result()]

    def _pods(self, namespace: str) -> int:
        return len(self._running(namespace))

    def _running(self, namespace: str) -> list[Json]:
        config = STATE / "k1/pki/admin.conf"
        words = [str(binaries.kube()), "kubectl", f"--kubeconfig={config}", "get", "pods", "-n", namespace]
        items: list[Json] = _run([*self._inside, *words, "-o", "json"], dict(os.environ))["items"]
        return [item for item in items if "deletionTimestamp" not in item["metadata"]]

    def _until(self, holds: Callable[[], bool]) -> None:
        end = time.monotonic() + LIMIT_S
        while not holds():
            if time.monotonic() > end:
                raise SystemExit(f"waited {LIMIT_S:.0f} s in vain for the pod to sleep")
            time.sleep(0.2)


def _bin(name: str) -> Path:
    return Path(sys.executable).with_name(name)


def _run(argv: list[str], environment: dict[str, str]) -> Json:
    done = subprocess.run(
        argv, check=False, capture_output=True, text=True, env=environment, timeout=COMMAND_LIMIT_S
    )
    if done.returncode:
        raise SystemExit(f"{argv}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    answer: Json = json.loads(done.stdout)
    return answer
