# SPDX-License-Identifier: Apache-2.0
"""What Kubernetes itself says of a pod: its replicas now, all that ever were, and what is left."""

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.waiting import PATIENCE_S, until
from trustedpods.localnet.cluster.cluster import kubectl

_COLUMNS = "custom-columns=EVENT:.type,NAME:.object.metadata.name,END:.object.metadata.deletionTimestamp"


def replicas(market: LiveLocalnet, namespace: str) -> list[dict[str, Any]]:
    """All Kubernetes pods of a namespace, ending ones too."""
    found: list[dict[str, Any]] = json.loads(market.kubectl("-n", namespace, "get", "pods", "-o", "json"))[
        "items"
    ]
    return found


def until_zero(market: LiveLocalnet, namespace: str, limit_s: float = PATIENCE_S) -> None:
    """Wait until the API server has no pod in the namespace."""
    until("zero pods", lambda: replicas(market, namespace) == [], limit_s)


class Watch:
    """Every pod of a namespace while it runs, from the API server's own event stream."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        """All that there were."""
        self.most = 0
        """The most that were wanted at one moment: those not told to end."""
        self._alive: set[str] = set()
        self.started = threading.Event()

    def take(self, line: str) -> None:
        """One line: what happened, to whom, and whether it is told to end."""
        event, name, end = line.split()
        if event == "DELETED" or end != "<none>":
            self._alive.discard(name)
        else:
            self._alive.add(name)
            self.names.add(name)
        self.most = max(self.most, len(self._alive))


@contextmanager
def watching(market: LiveLocalnet, namespace: str) -> Iterator[Watch]:
    """Watch the namespace's pods in the background while the block runs."""
    watch = Watch()
    words = [
        "-n",
        namespace,
        "get",
        "pods",
        "--watch",
        "--output-watch-events",
        "--no-headers",
        "-o",
        _COLUMNS,
    ]
    argv = [*kubectl(market.settings, market.cluster()), *words, "-v=6"]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdout=pipe, stderr=pipe, text=True) as process:
        threads = [threading.Thread(target=read, args=(process, watch)) for read in (_read, _read_log)]
        for thread in threads:
            thread.start()
        try:
            assert watch.started.wait(PATIENCE_S), "kubectl did not start to watch"
            yield watch
        finally:
            process.terminate()
            for thread in threads:
                thread.join()


def _read(process: "subprocess.Popen[str]", watch: Watch) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        watch.take(line)


def _read_log(process: "subprocess.Popen[str]", watch: Watch) -> None:
    """kubectl logs its requests: when the one that watches is answered, nothing is missed any more."""
    assert process.stderr is not None
    for line in process.stderr:
        if "watch=" in line:
            watch.started.set()


def remains(market: LiveLocalnet, label: str) -> list[str]:
    """Whatever is left of a pod: namespaces, volumes, their folders, its images."""
    everything = json.loads(market.kubectl("get", "namespaces,persistentvolumes", "-o", "json"))["items"]
    namespaces = f"tp-{label}-"
    found = [f"{item['kind']} {item['metadata']['name']}" for item in everything if _is_in(item, namespaces)]
    found += [str(folder) for folder in market.cluster().path("volumes").glob(f"*_{namespaces}*")]
    return found + [f"image {digest}" for digest in images(market, label)]


def _is_in(item: dict[str, Any], namespaces: str) -> bool:
    """Whether it is such a namespace, or a volume claimed from one."""
    claim = item["spec"].get("claimRef", {})
    return any(name.startswith(namespaces) for name in (item["metadata"]["name"], claim.get("namespace", "")))


def images(market: LiveLocalnet, label: str) -> list[str]:
    """Image manifests that the provider's registry would still serve for a pod."""
    folder = market.cluster().path("registry", "docker/registry/v2/repositories", label, "_manifests")
    return [link.parent.name for link in folder.glob("revisions/sha256/*/link")]


def label_of(url: str) -> str:
    """The pod's label: the first part of its host name."""
    return httpx.URL(url).host.partition(".")[0]
