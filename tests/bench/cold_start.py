# SPDX-License-Identifier: Apache-2.0
"""A cold start through the facade beside its floor: the same pod without facade, scaled by hand.

    python -m tests.bench.cold_start [--runs 100] [--peer NAME=URL ...]

Ours: from before the request is sent to its 200. Floor: from before the scale call to the first
connection that the pod takes; no kubelet probe, no token. The runs alternate, each with nothing left
of the one before. A peer's URL must lead to a pod that is at zero every time; it gets no floor.
"""

import argparse
import os
import shutil
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from tests.bench.market import EXAMPLES, IMAGES, trustedpods
from tests.bench.node import Api, Events, ask, dial, watching
from tests.live.localnet_fixture import LiveLocalnet, localnet
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


def one_of_ours(
    market: LiveLocalnet, api: Api, events: Events, namespace: str, host: str, ours: Series
) -> None:
    api.until_gone(namespace)
    events.clear()
    began = time.monotonic()
    status = ask(market, (market.cluster().node_ip, 80), host)
    answered = time.monotonic()
    if status == 200:
        ours.add(began, events, answered)
    else:
        ours.lost += 1


def one_of_the_floor(market: LiveLocalnet, api: Api, events: Events, namespace: str, floor: Series) -> None:
    api.until_gone(namespace)
    events.clear()
    began = time.monotonic()
    api.scale(namespace, "floor", 1)
    dial(market, events.address(), PORT)
    floor.add(began, events, time.monotonic())
    api.scale(namespace, "floor", 0)


def crowd(market: LiveLocalnet, api: Api, namespace: str, host: str) -> list[float]:
    """Many requests at once to a pod at zero; seconds of each. All must be answered."""
    api.until_gone(namespace)
    began = time.monotonic()

    def one(_: int) -> float:
        assert ask(market, (market.cluster().node_ip, 80), host) == 200
        return time.monotonic() - began

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(one, range(AT_ONCE)))


def peer(url: str, runs: int, pause_s: float) -> Series:
    """First requests to another proxy; it gets *pause_s* to scale its pod to zero."""
    series = Series()
    for _ in range(runs):
        time.sleep(pause_s)
        began = time.monotonic()
        answer = httpx.get(url, timeout=90, trust_env=False)
        if answer.status_code == 200:
            series.steps["answered"].append(1000 * (time.monotonic() - began))
        else:
            series.lost += 1
    return series


def report(name: str, series: Series) -> None:
    totals = series.totals
    steps = " | ".join(
        f"{statistics.median(series.steps[step]):.0f}" if series.steps[step] else "" for step in STEPS
    )
    p99 = percentile(totals, 0.99)
    ratio = p99 / statistics.median(totals)
    print(
        f"| {name} | {steps} | {min(totals):.0f}-{max(totals):.0f} | {p99:.0f} ({ratio:.2f}x) "
        f"| {len(totals)} | {series.lost} |"
    )


def run(market: LiveLocalnet, folder: Path, runs: int, peers: dict[str, str], pause_s: float) -> None:
    shutil.copy(IMAGES / "hello.tar", folder)
    shutil.copy(EXAMPLES / "hello.yaml", folder)
    result = trustedpods(market, "deploy", str(folder / "hello.yaml"), "--name", "cold", "--deposit", "4h")
    namespace, host = result["namespace"], urlsplit(result["endpoints"][0]["url"]).netloc
    api, ours, floor = Api(market), Series(), Series()
    floor_deployment(api, namespace)
    load = os.getloadavg()
    with watching(market, namespace) as events:
        for _ in range(runs):
            one_of_ours(market, api, events, namespace, host, ours)
            one_of_the_floor(market, api, events, namespace, floor)
    waited = [1000 * seconds for seconds in crowd(market, api, namespace, host)]
    print("medians in ms since the trigger\n")
    print(f"| | {' | '.join(STEPS)} | min-max | p99 (of the median) | runs | lost |")
    print("|---" * (len(STEPS) + 5) + "|")
    report("ours", ours)
    report("floor", floor)
    for name, url in peers.items():
        report(name, peer(url, runs, pause_s))
    above = statistics.median(ours.totals) - statistics.median(floor.totals)
    print(f"\nover the floor: {above:.0f} ms (goal: 30)")
    print(f"{AT_ONCE} at once: all 200, {min(waited):.0f} to {max(waited):.0f} ms")
    print(f"load average before and after: {load[0]:.1f}, {os.getloadavg()[0]:.1f}")


def named(text: str) -> tuple[str, str]:
    name, _, url = text.partition("=")
    if not url:
        raise argparse.ArgumentTypeError(f"write NAME=URL, not {text}")
    return name, url


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--runs", type=int, default=20)
    arguments.add_argument("--peer", type=named, action="append", default=[], metavar="NAME=URL")
    arguments.add_argument(
        "--peer-pause", type=float, default=10, help="seconds a peer gets to scale to zero"
    )
    options = arguments.parse_args()
    knobs = Knobs(claim_interval_s=3600, idle_after_s=1)
    with localnet(knobs=knobs) as market, tempfile.TemporaryDirectory() as folder:
        run(market, Path(folder), options.runs, dict(options.peer), options.peer_pause)


if __name__ == "__main__":
    main()
