# SPDX-License-Identifier: Apache-2.0
"""A cold start through the facade beside its floor: the same pod without facade, scaled by hand.

    python -m tests.bench.cold_start [--runs 100] [--peer nginx] [--peer NAME=URL ...]
    python -m tests.bench.cold_start --nodes 3 [--runs 20]

The second compares starts on the daemon's node and on another one, and nothing else.

Ours: from before the request is sent to its 200. Floor: from before the scale call to the first
connection that the pod takes; no kubelet probe, no token. The runs alternate, each with nothing left
of the one before. `--peer nginx` takes its turn with them: it can wake nothing, so it stands in front of
the facade, and what it adds is what one more proxy on the way costs. A peer's URL must lead to a pod
that is at zero every time, in a cluster of its own; it gets no floor, and its runs come last.
"""

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from tests.bench.market import IMAGES, trustedpods
from tests.bench.parts import far_nodes
from tests.bench.parts.node import Api, Events, ask, dial, watching
from tests.bench.parts.peers import Peer, nginx, peer
from tests.live.localnet_fixture import LiveLocalnet, localnet
from tests.paths import EXAMPLES
from trustedpods.localnet.settings import Knobs

PORT = 8080
AT_ONCE = 50
STEPS = ("pod object", "bound", "pod IP", "answered")


@dataclass
class Series:
    """Times in ms since the trigger, by step; and how many runs were lost."""

    steps: dict[str, list[float]] = field(default_factory=lambda: {step: [] for step in STEPS})
    lost: int = 0

    def add(self, began: float, events: Events, answered: float) -> None:
        for step, at in {**events.first, "answered": answered}.items():
            self.steps[step].append(1000 * (at - began))

    @property
    def totals(self) -> list[float]:
        return self.steps["answered"]


def percentile(figures: list[float], part: float) -> float:
    ordered = sorted(figures)
    return ordered[min(len(ordered) - 1, round(part * (len(ordered) - 1)))]


def floor_deployment(api: Api, namespace: str) -> None:
    """A copy of the pod's own Deployment that nobody but us scales and nobody meters."""
    found = api.get(f"/apis/apps/v1/namespaces/{namespace}/deployments")["items"][0]
    template = found["spec"]["template"]
    template["metadata"] = {"labels": {"bench": "floor"}}
    spec = {"replicas": 0, "selector": {"matchLabels": {"bench": "floor"}}, "template": template}
    made = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "floor"}, "spec": spec}
    api.create(f"/apis/apps/v1/namespaces/{namespace}/deployments", made)


@dataclass(frozen=True)
class Target:
    """The pod as a client sees it: its cluster's API, its namespace and its host."""

    market: LiveLocalnet
    api: Api
    events: Events
    namespace: str
    host: str

    @property
    def facade(self) -> tuple[str, int]:
        """Where the facade takes requests."""
        return self.market.cluster().node_ip, 80


def one_request(target: Target, address: tuple[str, int], series: Series) -> None:
    """A request to the pod at zero, at the facade or at what stands in front of it."""
    target.api.until_gone(target.namespace)
    target.events.clear()
    began = time.monotonic()
    status = ask(target.market, address, target.host)
    answered = time.monotonic()
    if status == 200:
        series.add(began, target.events, answered)
    else:
        series.lost += 1


def one_of_the_floor(target: Target, floor: Series) -> None:
    target.api.until_gone(target.namespace)
    target.events.clear()
    began = time.monotonic()
    target.api.scale(target.namespace, "floor", 1)
    dial(target.market, target.events.address(), PORT)
    floor.add(began, target.events, time.monotonic())
    target.api.scale(target.namespace, "floor", 0)


def crowd(target: Target) -> list[float]:
    """Many requests at once to a pod at zero; seconds of each. All must be answered."""
    target.api.until_gone(target.namespace)
    began = time.monotonic()

    def one(_: int) -> float:
        assert ask(target.market, target.facade, target.host) == 200
        return time.monotonic() - began

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(one, range(AT_ONCE)))


def elsewhere(url: str, runs: int, pause_s: float) -> Series:
    """First requests to another proxy; it gets *pause_s* to scale its pod to zero."""
    series = Series()
    for _ in range(runs):
        time.sleep(pause_s)
        began = time.monotonic()
        if _answers(url):
            series.steps["answered"].append(1000 * (time.monotonic() - began))
        else:
            series.lost += 1
    return series


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=90, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def report(name: str, series: Series) -> None:
    totals = series.totals
    if not totals:
        print(f"| {name} | {' | '.join('' for _ in STEPS)} | | | 0 | {series.lost} |")
        return
    steps = " | ".join(
        f"{statistics.median(series.steps[step]):.0f}" if series.steps[step] else "" for step in STEPS
    )
    p99 = percentile(totals, 0.99)
    ratio = p99 / statistics.median(totals)
    print(
        f"| {name} | {steps} | {min(totals):.0f}-{max(totals):.0f} | {p99:.0f} ({ratio:.2f}x) "
        f"| {len(totals)} | {series.lost} |"
    )


@contextmanager
def in_front(target: Target, peers: list[Peer]) -> Iterator[dict[str, tuple[str, int]]]:
    """By name, where the peers that we start take requests for the facade."""
    if all(other.url for other in peers):
        yield {}
        return
    address, port = target.facade
    with (
        tempfile.TemporaryDirectory() as folder,
        nginx(target.market, Path(folder), f"{address}:{port}") as place,
    ):
        yield {"nginx, then ours": place}


def in_turn(target: Target, runs: int, peers: list[Peer]) -> dict[str, Series]:
    """So many runs of each, one after the other."""
    with in_front(target, peers) as places:
        every = {"ours": target.facade, **places}
        found = {name: Series() for name in (*every, "floor")}
        for _ in range(runs):
            for name, place in every.items():
                one_request(target, place, found[name])
            one_of_the_floor(target, found["floor"])
    return found


def deployed(market: LiveLocalnet, folder: Path) -> tuple[str, str]:
    """A pod that sleeps; its namespace and its host."""
    shutil.copy(IMAGES / "hello.tar", folder)
    shutil.copy(EXAMPLES / "hello.yaml", folder)
    result = trustedpods(market, "deploy", str(folder / "hello.yaml"), "--name", "cold", "--deposit", "4h")
    return result["namespace"], urlsplit(result["endpoints"][0]["url"]).netloc


def run(market: LiveLocalnet, folder: Path, runs: int, peers: list[Peer], pause_s: float) -> None:
    namespace, host = deployed(market, folder)
    api = Api(market)
    floor_deployment(api, namespace)
    load = os.getloadavg()
    with watching(market, namespace) as events:
        target = Target(market, api, events, namespace, host)
        found = in_turn(target, runs, peers)
        waited = [1000 * seconds for seconds in crowd(target)]
    print("medians in ms since the trigger\n")
    print(f"| | {' | '.join(STEPS)} | min-max | p99 (of the median) | runs | lost |")
    print("|---" * (len(STEPS) + 5) + "|")
    for name, series in found.items():
        report(name, series)
    for other in peers:
        if other.url:
            report(other.name, elsewhere(other.url, runs, pause_s))
    above = statistics.median(found["ours"].totals) - statistics.median(found["floor"].totals)
    print(f"\nover the floor: {above:.0f} ms (goal: 30)")
    print(f"{AT_ONCE} at once: all 200, {min(waited):.0f} to {max(waited):.0f} ms")
    print(f"load average before and after: {load[0]:.1f}, {os.getloadavg()[0]:.1f}")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--runs", type=int, default=20)
    arguments.add_argument("--peer", type=peer, action="append", default=[], metavar="nginx|NAME=URL")
    arguments.add_argument(
        "--peer-pause", type=float, default=10, help="seconds a peer gets to scale to zero"
    )
    arguments.add_argument(
        "--nodes", type=int, default=1, help="above 1: compare two nodes of so many instead"
    )
    options = arguments.parse_args()
    knobs = Knobs(claim_interval_s=3600, idle_after_s=1)
    if options.nodes > 1:
        with localnet(knobs=knobs, nodes=options.nodes) as market, tempfile.TemporaryDirectory() as folder:
            far_nodes.compare(market, Path(folder), options.runs)
        return
    with localnet(knobs=knobs) as market, tempfile.TemporaryDirectory() as folder:
        run(market, Path(folder), options.runs, options.peer, options.peer_pause)


if __name__ == "__main__":
    main()
