# SPDX-License-Identifier: Apache-2.0
"""Cold starts of one manifest on the daemon's node and on another, in turn, within one run."""

import shutil
import statistics
import time
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from tests.bench.market import IMAGES, trustedpods
from tests.bench.parts.node import Api, ask
from tests.live.localnet_fixture import LiveLocalnet
from tests.paths import EXAMPLES
from trustedpods.localnet.settings import ZONE_LABEL

GOAL = 1.15
"""The most that a start elsewhere may take of one beside the daemon (issue 12)."""


def compare(market: LiveLocalnet, folder: Path, runs: int) -> float:
    """Print both medians; how many times as long a start on the second node takes."""
    api, cluster = Api(market), market.cluster()
    shutil.copy(IMAGES / "hello.tar", folder)
    nodes = (cluster.name, cluster.later_nodes[0].name)
    pods = {node: _deployed(market, folder, node) for node in nodes}
    found: dict[str, list[float]] = {node: [] for node in nodes}
    for _ in range(runs):
        for node, (namespace, host) in pods.items():
            api.until_gone(namespace)
            began = time.monotonic()
            assert ask(market, (cluster.node_ip, 80), host) == 200
            found[node].append(1000 * (time.monotonic() - began))
    print("| node | median ms | min-max | runs |\n|---|---|---|---|")
    for node, times in found.items():
        print(
            f"| {node} | {statistics.median(times):.0f} | {min(times):.0f}-{max(times):.0f} | {len(times)} |"
        )
    near, far = (statistics.median(found[node]) for node in nodes)
    print(f"\non another node: {far / near:.2f}x (goal: {GOAL}x)")
    return far / near


def _deployed(market: LiveLocalnet, folder: Path, node: str) -> tuple[str, str]:
    """A pod that sleeps and wakes on this node; its namespace and its host."""
    manifest = yaml.safe_load((EXAMPLES / "hello.yaml").read_text())
    manifest["spec"]["nodeSelector"] = {ZONE_LABEL: node}
    file = folder / f"{node}.yaml"
    file.write_text(yaml.safe_dump(manifest))
    result = trustedpods(market, "deploy", str(file), "--name", f"cold-{node}", "--deposit", "4h")
    return result["namespace"], urlsplit(result["endpoints"][0]["url"]).netloc
