# SPDX-License-Identifier: Apache-2.0
"""Many pods that sleep warm side by side: what it costs to keep them frozen, and all woken at once.

    python -m tests.bench.sleep.many [--sleepers 50] [--cpu 100m] [--look 30]

CPU of the daemon and of the node's agent is read from the kernel (`/proc/PID/stat`) while all are
frozen, have lent their CPU, and nobody asks for anything; what they ask for then is read from the API server.
Then each gets its first request, all at the same time.
"""

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Barrier
from urllib.parse import urlsplit

import trio
import yaml

from tests.bench.market import IMAGES, trustedpods
from tests.bench.parts.node import Api, ask
from tests.live.localnet_fixture import LiveLocalnet, localnet
from tests.paths import EXAMPLES
from trustedpods.localnet.cluster.files import freezer_socket
from trustedpods.localnet.settings import Knobs
from trustedpods.provider.cluster.capacity import capacity
from trustedpods.provider.cluster.freezer.door import Freezer
from trustedpods.provider.cluster.views import pod_view

LIMIT_S = 120
SIDE_BY_SIDE = 4
"""Deploys at a time: each is a process of its own."""

PARTS = ("k1/provider", "k1/netpol")


@dataclass(frozen=True)
class First:
    """The first answer of a sleeper: its status and ms."""

    status: int
    ms: float


def deploy_all(market: LiveLocalnet, folder: Path, count: int, cpu: str) -> list[str]:
    """Their hosts, by which the facade knows them."""
    manifest = yaml.safe_load((EXAMPLES / "hello.yaml").read_text())
    manifest["spec"]["scale"] = {"min": 0, "max": 1, "idleAfter": "2s", "sleep": "warm", "warmFor": "2h"}
    manifest["spec"]["containers"][0]["resources"]["limits"]["cpu"] = cpu
    file = folder / "sleeper.yaml"
    file.write_text(yaml.safe_dump(manifest))

    def deploy(number: int) -> str:
        result = trustedpods(market, "deploy", str(file), "--name", f"sleeper-{number}", "--deposit", "3h")
        return urlsplit(result["endpoints"][0]["url"]).netloc

    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        return list(pool.map(deploy, range(count)))


def until_frozen(market: LiveLocalnet, count: int) -> None:
    """Wait until so many replicas are frozen."""
    api, freezer = Api(market), Freezer([freezer_socket(market.cluster())])
    deadline = time.monotonic() + LIMIT_S
    while True:
        items = api.get("/api/v1/pods?labelSelector=trustedpods.dev/pod")["items"]
        sizes = trio.run(freezer.size, [one["metadata"]["uid"] for one in items])
        if sum(view.frozen for view in sizes.values()) >= count:
            return
        assert time.monotonic() < deadline, "they do not all fall asleep"
        time.sleep(0.5)


def until_lent(market: LiveLocalnet, count: int) -> tuple[int, int]:
    """Wait until so many have lent their CPU; what the node offers and what is asked for, in thousandths."""
    api, deadline = Api(market), time.monotonic() + LIMIT_S
    while True:
        items = api.get("/api/v1/pods?labelSelector=trustedpods.dev/pod")["items"]
        if sum(pod_view(one).lent_milli > 0 for one in items) >= count:
            found = capacity(api.get("/api/v1/nodes")["items"], api.get("/api/v1/pods")["items"], [])
            return found.allocatable.cpu_milli, found.requested.cpu_milli
        assert time.monotonic() < deadline, "they do not all lend their CPU"
        time.sleep(0.5)


def cpu_s(pid: int) -> float:
    """What a process has used so far, threads that ended among it."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def ask_all(market: LiveLocalnet, hosts: list[str]) -> list[First]:
    """One request to each, all sent at once."""
    together = Barrier(len(hosts))

    def first(host: str) -> First:
        together.wait()
        began = time.monotonic()
        status = ask(market, (market.cluster().node_ip, 80), host)
        return First(status, 1000 * (time.monotonic() - began))

    with ThreadPoolExecutor(len(hosts)) as pool:
        return list(pool.map(first, hosts))


def run(market: LiveLocalnet, folder: Path, count: int, cpu: str, look_s: float) -> None:
    shutil.copy(IMAGES / "hello.tar", folder)
    hosts = deploy_all(market, folder, count, cpu)
    until_frozen(market, count)
    offered, asked = until_lent(market, count)
    print(f"CPU: the node offers {offered}m, {count} frozen pods of {cpu} ask for {asked}m of it")
    pids = [market.pid(part) for part in PARTS]
    load, before = os.getloadavg(), [cpu_s(pid) for pid in pids]
    time.sleep(look_s)
    spent = [100 * (cpu_s(pid) - was) / look_s for pid, was in zip(pids, before, strict=True)]
    answers = ask_all(market, hosts)
    times = sorted(answer.ms for answer in answers)
    print(f"{count} frozen pods, {look_s:.0f} s without a request, in % of a core:")
    print(", ".join(f"{part} {share:.2f}" for part, share in zip(PARTS, spent, strict=True)))
    print(f"{count} first requests at once: {dict(Counter(answer.status for answer in answers))},")
    print(f"p50 {statistics.median(times):.0f} ms, the last after {times[-1]:.0f} ms")
    print(f"load average before and after: {load[0]:.1f}, {os.getloadavg()[0]:.1f}")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--sleepers", type=int, default=50, help="a node takes 240 pods")
    arguments.add_argument("--cpu", default="100m", help="of each, awake")
    arguments.add_argument("--look", type=float, default=30.0)
    options = arguments.parse_args()
    knobs = Knobs(claim_interval_s=3600, idle_after_s=1)
    with localnet(knobs=knobs) as market, tempfile.TemporaryDirectory() as folder:
        run(market, Path(folder), options.sleepers, options.cpu, options.look)


if __name__ == "__main__":
    main()
