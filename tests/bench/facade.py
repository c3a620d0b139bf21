# SPDX-License-Identifier: Apache-2.0
"""What the facade takes from a pod's throughput: everything direct, and through it, in one run.

    python -m tests.bench.facade [--seconds 6] [--cpu 1000m] [--peer NAME=URL ...]

Load and pod run on the node; `--cpu` is the pod's limit, which should not bound it: nginx has one
worker, so a whole core. A peer's URL must lead to the same nginx.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from tests.bench.cold_start import named
from tests.bench.market import EXAMPLES, IMAGES, pods, trustedpods
from tests.live.localnet_fixture import LiveLocalnet, localnet
from trustedpods.localnet.network import enter
from trustedpods.localnet.settings import Knobs

GIGABYTE = 1_000_000_000
ROUNDS = 3


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
    words = ("env", f"PYTHONPATH={Path.cwd()}", sys.executable, "-m", "tests.bench.ws_load")
    return float(on_node(market, *words, way.address, way.host, "--seconds", str(seconds)))


def download(market: LiveLocalnet, way: Way) -> float:
    """MB a second of one GB."""
    words = ("curl", "-sS", "-o", "/dev/null", "-w", "%{speed_download} %{size_download}")
    url = f"http://{way.address}/bytes/{GIGABYTE}"
    speed, size = on_node(market, *words, "-H", f"Host: {way.host}", url).split()
    assert int(float(size)) == GIGABYTE
    return float(speed) / 1e6


def row(what: str, found: dict[str, list[float]], unit: str) -> None:
    """Best of the rounds of each way, and its ratio to direct: what is less was taken by others."""
    best = {name: max(figures) for name, figures in found.items()}
    cells = [f"{name} {figure:,.0f}" for name, figure in best.items()]
    ratios = [f"{best[name] / best['direct']:.2f}x" for name in best if name != "direct"]
    print(f"| {what} | {', '.join(cells)} {unit} | {', '.join(ratios)} |", flush=True)


def rounds(every: list[Way], measure: Callable[[Way], float]) -> dict[str, list[float]]:
    """Each way in turn, several times."""
    found: dict[str, list[float]] = {way.name: [] for way in every}
    for _ in range(ROUNDS):
        for way in every:
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


def run(market: LiveLocalnet, folder: Path, seconds: float, cpu: str, peers: dict[str, str]) -> None:
    print(f"pod limit {cpu} of {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}\n")
    print("| what | best of 3 | of direct |\n|---|---|---|", flush=True)
    others = [Way(name, urlsplit(url).netloc, urlsplit(url).netloc) for name, url in peers.items()]
    nginx = deploy(market, folder, "web", cpu)
    every = [*ways(market, nginx), *others]
    for connections in (32, 256):
        found = rounds(every, lambda way, count=connections: wrk(market, way, count, seconds)[0])  # type: ignore[misc]
        row(f"requests/s, {connections} connections", found, "")
    latency(market, every, seconds)
    trustedpods(market, "delete", "bench-web")
    echo = ways(market, deploy(market, folder, "echo", cpu))
    row("WebSocket messages/s, 4 connections", rounds(echo, lambda way: messages(market, way, seconds)), "")
    row("1 GB download", rounds(echo, lambda way: download(market, way)), "MB/s")
    print(f"\nload average at the end {os.getloadavg()[0]:.1f}")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=6)
    arguments.add_argument("--cpu", default="1000m")
    arguments.add_argument("--peer", type=named, action="append", default=[], metavar="NAME=URL")
    options = arguments.parse_args()
    with localnet(knobs=Knobs(claim_interval_s=3600)) as market, tempfile.TemporaryDirectory() as folder:
        run(market, Path(folder), options.seconds, options.cpu, dict(options.peer))


if __name__ == "__main__":
    main()
