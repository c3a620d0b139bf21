# SPDX-License-Identifier: Apache-2.0
"""What the facade takes from a pod's throughput: everything direct, and through it, in one run.

    python -m tests.bench.facade [--seconds 6] [--cpu 1000m] [--peer nginx] [--peer NAME=URL ...]

Load and pod run on the node; `--cpu` is the pod's limit, which should not bound it: the pod's nginx
has one worker, so a whole core. A peer takes everything that the facade takes, from the same pods. One
at a URL is asked from the node; where its pod is gets printed, and it is waited for until it leads there.
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from tests.bench.market import IMAGES, pods, trustedpods
from tests.bench.parts.peers import Peer, nginx, peer
from tests.live.localnet_fixture import LiveLocalnet, localnet
from tests.paths import EXAMPLES
from trustedpods.localnet.network import enter
from trustedpods.localnet.settings import Knobs

GIGABYTE = 1_000_000_000
ROUNDS = 3
DOWNLOADS = 12
PAGES = {"web": "/", "echo": "/bytes/1"}
"""A page of each example that the other does not have."""
PEER_LIMIT_S = 600
"""How long somebody may take to point a peer at a pod."""


@dataclass(frozen=True)
class Way:
    """One way to the pod: an address and the host that it is asked for."""

    name: str
    address: str
    host: str


def deploy(market: LiveLocalnet, folder: Path, example: str, cpu: str) -> dict[str, Any]:
    """The example with so much CPU, awake all the time."""
    for source in (IMAGES / f"{example}.tar", *EXAMPLES.iterdir()):
        if source.is_file():
            shutil.copy(source, folder)
    tree = yaml.safe_load((folder / f"{example}.yaml").read_text())
    tree["spec"]["containers"][0]["resources"]["limits"]["cpu"] = cpu
    tree["spec"]["scale"] = {"min": 1, "max": 1}
    file = folder / f"bench-{example}.yaml"
    file.write_text(yaml.safe_dump(tree))
    return trustedpods(market, "deploy", str(file), "--name", f"bench-{example}", "--deposit", "1h")


def ways(market: LiveLocalnet, result: dict[str, Any]) -> list[Way]:
    """Direct, and through the facade, over plain HTTP."""
    ip = pods(market, result["namespace"])[0]["status"]["podIP"]
    host = urlsplit(result["endpoints"][0]["url"]).netloc
    return [Way("direct", f"{ip}:8080", host), Way("facade", f"{market.cluster().node_ip}:80", host)]


@contextmanager
def beside(market: LiveLocalnet, every: list[Way], page: str, peers: list[Peer]) -> Iterator[list[Way]]:
    """The ways, and those of the peers, each of them in front of the same pod."""
    direct = every[0]
    others = [Way(other.name, other.netloc, other.netloc) for other in peers if other.url]
    for way in others:
        print(f"{way.name} ({way.address}) must lead to {direct.address} now", file=sys.stderr, flush=True)
        until_it_leads(market, way, direct, page)
    if len(others) == len(peers):
        yield [*every, *others]
        return
    with tempfile.TemporaryDirectory() as folder, nginx(market, Path(folder), direct.address) as place:
        yield [*every, Way("nginx", f"{place[0]}:{place[1]}", direct.host), *others]


def until_it_leads(market: LiveLocalnet, way: Way, direct: Way, page: str) -> None:
    """Wait until the page is the same both ways."""
    wanted, deadline = _page(market, direct, page), time.monotonic() + PEER_LIMIT_S
    while _page(market, way, page) != wanted:
        assert time.monotonic() < deadline, f"{way.name} does not lead to {direct.address}"
        time.sleep(1)


def _page(market: LiveLocalnet, way: Way, page: str) -> str:
    """Status and body; the status is 000 if nobody answers."""
    words = ["curl", "-s", "-m", "5", "-w", "%{http_code}", "-H", f"Host: {way.host}"]
    command = [*enter(market.cluster().namespace), *words, f"http://{way.address}{page}"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def on_node(market: LiveLocalnet, *words: str) -> str:
    command = [*enter(market.cluster().namespace), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def wrk(market: LiveLocalnet, way: Way, connections: int, seconds: float) -> tuple[float, float, float]:
    """Requests a second, and p50 and p99 in microseconds, of one thread."""
    head = ("-H", f"Host: {way.host}")
    words = (
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{seconds:g}s",
        "--latency",
        *head,
        f"http://{way.address}/",
    )
    out = on_node(market, *words)
    assert "Non-2xx" not in out, out
    rate = re.search(r"Requests/sec:\s+([\d.]+)", out)
    assert rate is not None
    return float(rate[1]), _micro(out, "50%"), _micro(out, "99%")


def _micro(out: str, part: str) -> float:
    found = re.search(rf"{part}\s+([\d.]+)(us|ms|s)\b", out)
    assert found is not None, out
    return float(found[1]) * {"us": 1, "ms": 1000, "s": 1_000_000}[found[2]]


def messages(market: LiveLocalnet, way: Way, seconds: float) -> float:
    words = ("env", f"PYTHONPATH={Path.cwd()}", sys.executable, "-m", "tests.bench.parts.ws_load")
    return float(on_node(market, *words, way.address, way.host, "--seconds", str(seconds)))


def download(market: LiveLocalnet, way: Way) -> float:
    """MB a second of one GB."""
    words = ("curl", "-sS", "-o", "/dev/null", "-w", "%{speed_download} %{size_download}")
    url = f"http://{way.address}/bytes/{GIGABYTE}"
    speed, size = on_node(market, *words, "-H", f"Host: {way.host}", url).split()
    assert int(float(size)) == GIGABYTE
    return float(speed) / 1e6


def row(what: str, found: dict[str, list[float]], unit: str) -> None:
    """Best and, in brackets, median of the rounds of each way, and their ratios to direct.

    Work beside it only takes away, so the best is nearest to what a way can do. Of a transfer that is over in
    a second the best may be luck: the kernel put everybody on the right core.
    """
    best = {name: max(figures) for name, figures in found.items()}
    middle = {name: statistics.median(figures) for name, figures in found.items()}
    cells = [f"{name} {best[name]:,.0f} ({middle[name]:,.0f})" for name in found]
    ratios = [
        f"{name} {best[name] / best['direct']:.2f}x ({middle[name] / middle['direct']:.2f}x)"
        for name in found
        if name != "direct"
    ]
    print(f"| {what} | {', '.join(cells)} {unit} | {', '.join(ratios)} |", flush=True)


def rounds(every: list[Way], measure: Callable[[Way], float], count: int = ROUNDS) -> dict[str, list[float]]:
    """Each way in turn, several times, another one first in each round."""
    found: dict[str, list[float]] = {way.name: [] for way in every}
    for number in range(count):
        first = number % len(every)
        for way in (*every[first:], *every[:first]):
            found[way.name].append(measure(way))
    return found


def latency(market: LiveLocalnet, every: list[Way], seconds: float) -> None:
    """Of one request after another: nobody waits for anybody, so what is more is what the way adds."""
    best: dict[str, tuple[float, float]] = {}
    for _ in range(ROUNDS):
        for way in every:
            _, middle, high = wrk(market, way, 1, seconds)
            known = best.get(way.name, (middle, high))
            best[way.name] = (min(middle, known[0]), min(high, known[1]))
    for name, (middle, high) in best.items():
        if name != "direct":
            added = f"p50 {middle - best['direct'][0]:.0f}, p99 {high - best['direct'][1]:.0f}"
            print(f"| latency added by {name} | {added} microseconds | |", flush=True)


def run(market: LiveLocalnet, folder: Path, seconds: float, cpu: str, peers: list[Peer]) -> None:
    print(f"pod limit {cpu} of {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}\n")
    print("| what | best of the rounds (median) | of direct |\n|---|---|---|", flush=True)
    found = ways(market, deploy(market, folder, "web", cpu))
    with beside(market, found, PAGES["web"], peers) as every:
        small_requests(market, every, seconds)
    trustedpods(market, "delete", "bench-web")
    found = ways(market, deploy(market, folder, "echo", cpu))
    with beside(market, found, PAGES["echo"], peers) as every:
        row(
            "WebSocket messages/s, 4 connections",
            rounds(every, lambda way: messages(market, way, seconds)),
            "",
        )
        row("1 GB download", rounds(every, lambda way: download(market, way), DOWNLOADS), "MB/s")
    print(f"\nload average at the end {os.getloadavg()[0]:.1f}")


def small_requests(market: LiveLocalnet, every: list[Way], seconds: float) -> None:
    """Requests a second, and what is added to a lone one."""
    for connections in (32, 256):
        found = rounds(every, lambda way, count=connections: wrk(market, way, count, seconds)[0])
        row(f"requests/s, {connections} connections", found, "")
    latency(market, every, seconds)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=6)
    arguments.add_argument("--cpu", default="1000m")
    arguments.add_argument("--peer", type=peer, action="append", default=[], metavar="nginx|NAME=URL")
    options = arguments.parse_args()
    with localnet(knobs=Knobs(claim_interval_s=3600)) as market, tempfile.TemporaryDirectory() as folder:
        run(market, Path(folder), options.seconds, options.cpu, options.peer)


if __name__ == "__main__":
    main()
