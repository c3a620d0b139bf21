# SPDX-License-Identifier: Apache-2.0
"""Figures of a whole market on this machine: deploy, cold start, requests through the facade.

    python -m tests.bench.market [--runs 10]

Brings up a localnet of its own and takes it down again. Prints a table for docs/benchmarks.md.
"""

import argparse
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.live.clients.web import get
from tests.live.localnet_fixture import LiveLocalnet, localnet
from tests.paths import EXAMPLES
from trustedpods.localnet.network import enter
from trustedpods.localnet.settings import Knobs

IMAGES = Path("~/.cache/trustedpods/images").expanduser()
LOAD_S = 8
CONNECTIONS = 32
ZERO_LIMIT_S = 60


def trustedpods(market: LiveLocalnet, *words: str) -> dict[str, Any]:
    command = [str(Path(sys.executable).parent / "trustedpods"), *words, "-o", "json"]
    done = subprocess.run(command, env=market.environment(), capture_output=True, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def deploy(market: LiveLocalnet, manifest: Path, name: str) -> tuple[dict[str, Any], float]:
    """A deploy up to the first 200; its result, and all its seconds."""
    began = time.monotonic()
    result = trustedpods(market, "deploy", str(manifest), "--name", name, "--deposit", "1h")
    assert get(result["endpoints"][0]["url"]).status == 200
    return result, time.monotonic() - began


def pods(market: LiveLocalnet, namespace: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = json.loads(market.kubectl("get", "pods", "-n", namespace, "-o", "json"))[
        "items"
    ]
    return items


def cold_start(market: LiveLocalnet, url: str, namespace: str) -> float:
    """Seconds of the first request after the pod is wholly gone."""
    deadline = time.monotonic() + ZERO_LIMIT_S
    while pods(market, namespace):
        assert time.monotonic() < deadline, "the pod does not go to zero"
        time.sleep(0.1)
    answer = get(url)
    assert answer.status == 200
    return answer.seconds


def load(market: LiveLocalnet, url: str, host: str) -> float:
    """Requests a second that one thread of wrk gets answered with 200."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{LOAD_S}s", "-H", f"Host: {host}", url]
    namespace = market.cluster().namespace
    done = subprocess.run([*enter(namespace), *command], capture_output=True, text=True, check=True)
    assert "Non-2xx" not in done.stdout, done.stdout
    found = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    assert found is not None
    return float(found[1])


def row(what: str, figures: list[float], unit: str) -> None:
    middle = statistics.median(figures)
    print(f"| {what} | {middle:.2f} {unit} | {min(figures):.2f}-{max(figures):.2f} | {len(figures)} |")


def run(market: LiveLocalnet, folder: Path, runs: int) -> None:
    for source in (IMAGES / "hello.tar", IMAGES / "web.tar", *EXAMPLES.iterdir()):
        if source.is_file():
            shutil.copy(source, folder)
    manifest = folder / "hello.yaml"
    deploys = [deploy(market, manifest, f"bench-{number}") for number in range(3)]
    sent = [result["sent"]["sent_chunks"] for result, _ in deploys]
    print("| what | median | min-max | runs |\n|---|---|---|---|")
    row("`trustedpods deploy` of a 1 MB image to the first 200", [seconds for _, seconds in deploys], "s")
    row("of it starting Python and its libraries", [_seconds(result, "start") for result, _ in deploys], "s")
    result = deploys[-1][0]
    url, namespace = result["endpoints"][0]["url"], result["namespace"]
    colds = [cold_start(market, url, namespace) for _ in range(runs)]
    row("first request to a pod at zero", [1000 * seconds for seconds in colds], "ms")
    served, _ = deploy(market, folder / "web.yaml", "bench-web")  # nginx, awake for a minute
    address = pods(market, served["namespace"])[0]["status"]["podIP"]
    host, node = served["endpoints"][0]["url"].split("/")[2], market.cluster().node_ip
    ratios = []
    for _ in range(3):
        direct = load(market, f"http://{address}:8080/", host)
        ratios.append(load(market, f"http://{node}/", host) / direct)
    row(f"requests/s through the facade, of those direct to nginx ({CONNECTIONS} connections)", ratios, "x")
    print(f"\nimage chunks sent by the deploys, in order: {', '.join(map(str, sent))}")


def _seconds(result: dict[str, Any], step: str) -> float:
    return next(float(one["seconds"]) for one in result["steps"] if one["name"] == step)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--runs", type=int, default=10, help="cold starts")
    options = arguments.parse_args()
    knobs = Knobs(claim_interval_s=600, idle_after_s=2)
    with localnet(knobs=knobs) as market, tempfile.TemporaryDirectory() as folder:
        run(market, Path(folder), options.runs)


if __name__ == "__main__":
    main()
