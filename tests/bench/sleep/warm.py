# SPDX-License-Identifier: Apache-2.0
"""The first answer of a pod that sleeps warm, beside an awake one's and a cold start, in one run.

    python -m tests.bench.sleep.warm [--runs 50] [--lent 20] [--cold 10]

Each turn waits until the replica is frozen, asks through the facade, and asks once more: the second request
meets the pod awake. In some turns it waits until the scheduler has the replica's CPU. Cold is another pod of
the same image, asked when nothing is left of it. Times are walls, from before the request is sent to its 200;
judge by the ratios.
"""

import argparse
import os
import shutil
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import trio
import yaml

from tests.bench.market import IMAGES, trustedpods
from tests.bench.parts.node import Api, ask
from tests.live.localnet_fixture import LiveLocalnet, localnet
from tests.paths import EXAMPLES
from trustedpods.localnet.cluster.files import freezer_socket
from trustedpods.localnet.settings import Knobs
from trustedpods.provider.cluster.freezer.door import Freezer
from trustedpods.provider.cluster.views import pod_view

LIMIT_S = 60
KUBELET_S = 1.0
"""By then the node has carried out what was asked of it, mostly; a wake may come before, and some do."""


@dataclass(frozen=True)
class Sleeper:
    """A pod that falls asleep a second after its last request."""

    market: LiveLocalnet
    namespace: str
    host: str

    def ask(self) -> float:
        """A request through the facade; its ms."""
        began = time.monotonic()
        status = ask(self.market, (self.market.cluster().node_ip, 80), self.host)
        assert status == 200, status
        return 1000 * (time.monotonic() - began)

    def until_frozen(self) -> int:
        """The MiB that its one replica holds then."""
        (pod,) = Api(self.market).pods(self.namespace)
        uid, freezer = pod["metadata"]["uid"], Freezer([freezer_socket(self.market.cluster())])
        deadline = time.monotonic() + LIMIT_S
        while not (view := trio.run(freezer.size, [uid])[uid]).frozen:
            assert time.monotonic() < deadline, "it does not fall asleep"
            time.sleep(0.1)
        return view.memory_mib

    def until_lent(self) -> None:
        """Wait until it asks the scheduler for next to no CPU."""
        deadline = time.monotonic() + LIMIT_S
        while not pod_view(Api(self.market).pods(self.namespace)[0]).lent_milli:
            assert time.monotonic() < deadline, "it does not lend its CPU"
            time.sleep(0.2)
        time.sleep(KUBELET_S)


def deployed(market: LiveLocalnet, folder: Path, sleep: str) -> Sleeper:
    manifest = yaml.safe_load((EXAMPLES / "hello.yaml").read_text())
    manifest["spec"]["scale"] = {"min": 0, "max": 1, "idleAfter": "1s", "sleep": sleep}
    file = folder / f"{sleep}.yaml"
    file.write_text(yaml.safe_dump(manifest))
    result = trustedpods(market, "deploy", str(file), "--name", sleep, "--deposit", "4h")
    return Sleeper(market, result["namespace"], urlsplit(result["endpoints"][0]["url"]).netloc)


def report(name: str, figures: list[float], base: float) -> None:
    ordered = sorted(figures)
    p99 = ordered[round(0.99 * (len(ordered) - 1))]
    middle = statistics.median(ordered)
    print(f"| {name} | {middle:.1f} | {p99:.1f} | {middle / base:.3f} | {len(ordered)} |")


def run(market: LiveLocalnet, folder: Path, runs: int, lends: int, colds: int) -> None:
    shutil.copy(IMAGES / "hello.tar", folder)
    warm, cold = deployed(market, folder, "warm"), deployed(market, folder, "cold")
    api, load = Api(market), os.getloadavg()
    frozen, lent, awake, started, held = list[float](), list[float](), list[float](), list[float](), 0
    for number in range(max(runs, lends, colds)):
        if number < runs:
            held = warm.until_frozen()
            frozen.append(warm.ask())
            awake.append(warm.ask())
        if number < lends:
            warm.until_frozen()
            warm.until_lent()
            lent.append(warm.ask())
            awake.append(warm.ask())
        if number < colds:
            api.until_gone(cold.namespace)
            started.append(cold.ask())
    base = statistics.median(started)
    print("| first answer | p50 ms | p99 ms | of a cold start | runs |\n|---|---|---|---|---|")
    report("awake", awake, base)
    report("asleep, warm", frozen, base)
    report("asleep, warm, its CPU lent", lent, base)
    report("asleep, cold", started, base)
    print(f"\nover awake: {statistics.median(frozen) - statistics.median(awake):.1f} ms (goal: 20)")
    print(f"memory of the frozen replica: {held} MiB; paging out is off")
    print(f"load average before and after: {load[0]:.1f}, {os.getloadavg()[0]:.1f}")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--runs", type=int, default=50)
    arguments.add_argument("--lent", type=int, default=20)
    arguments.add_argument("--cold", type=int, default=10)
    options = arguments.parse_args()
    knobs = Knobs(claim_interval_s=3600, idle_after_s=1)
    with localnet(knobs=knobs) as market, tempfile.TemporaryDirectory() as folder:
        run(market, Path(folder), options.runs, options.lent, options.cold)


if __name__ == "__main__":
    main()
