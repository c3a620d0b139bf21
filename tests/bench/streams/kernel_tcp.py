# SPDX-License-Identifier: Apache-2.0
"""A tcp service by the kernel, through HAProxy, and past both, in one run.

    python -m tests.bench.streams.kernel_tcp [--seconds 4] [--cpu 1000m]

The client is behind the node, as the world is. Each pod has two services at the same port: the kernel carries
one, and the other has session affinity and stays in HAProxy. `direct` is the pod's own address, which a
policy of the benchmark's opens.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import yaml

from tests.bench.facade import DOWNLOADS, GIGABYTE, Way, rounds, row
from tests.bench.market import IMAGES, pods, trustedpods
from tests.live.clients.outside import SERVER, world
from tests.live.localnet_fixture import LiveLocalnet, localnet
from tests.live.observers.waiting import until
from tests.paths import EXAMPLES
from trustedpods.localnet.settings import Knobs

PORT = 8080

DEPOSIT = "30d"
"""All that passes is billed, also what is sent past the facade: some forty gigabytes."""


def deploy(market: LiveLocalnet, folder: Path, example: str, cpu: str) -> dict[str, object]:
    """The example, awake all the time, with both services and nothing else."""
    for source in (IMAGES / f"{example}.tar", *EXAMPLES.iterdir()):
        if source.is_file():
            shutil.copy(source, folder)
    tree = yaml.safe_load((EXAMPLES / f"{example}.yaml").read_text())
    tree["spec"]["containers"][0]["resources"]["limits"] |= {"cpu": cpu, "memory": "256Mi"}
    tree["spec"]["scale"] = {"min": 1, "max": 1}
    ports = [{"port": PORT}]
    tree["spec"]["services"] = [
        {"name": "kernel", "expose": "tcp", "ports": ports},
        {"name": "haproxy", "expose": "tcp", "ports": ports, "sessionAffinity": "clientIP"},
    ]
    file = folder / f"bench-{example}.yaml"
    file.write_text(yaml.safe_dump(tree))
    return trustedpods(market, "deploy", str(file), "--name", f"bench-{example}", "--deposit", DEPOSIT)


def ways(market: LiveLocalnet, result: dict[str, object]) -> list[Way]:
    """Direct, by the kernel and through HAProxy; the kernel must lead to its own, and to no other."""
    namespace = str(result["namespace"])
    rule = {"from": [{"ipBlock": {"cidr": f"{SERVER}/32"}}], "ports": [{"protocol": "TCP", "port": PORT}]}
    spec = {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [rule]}
    metadata = {"name": "bench", "namespace": namespace}
    market.apply(
        {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}
    )
    ip = pods(market, namespace)[0]["status"]["podIP"]
    endpoints = json.loads(json.dumps(result["endpoints"]))
    port = {one["service"]: int(one["url"].rpartition(":")[2]) for one in endpoints}
    until("the kernel leads to the pod", lambda: _led(market) == {port["kernel"]})
    node = market.cluster().node_ip
    found = {"direct": f"{ip}:{PORT}"} | {name: f"{node}:{port[name]}" for name in ("kernel", "haproxy")}
    return [Way(name, address, address) for name, address in found.items()]


def _led(market: LiveLocalnet) -> set[int]:
    listing = json.loads(market.on_node("nft", "-j", "list", "map", "ip", "trustedpods-facade", "targets"))
    (found,) = [one["map"] for one in listing["nftables"] if "map" in one]
    return {port for port, _ in found.get("elem", [])}


def in_world(place: Path, *words: str) -> str:
    return subprocess.check_output(["ip", "netns", "exec", place.name, *words], text=True)


def download(place: Path, way: Way) -> float:
    """MB a second of one GB."""
    words = ("curl", "-sS", "-o", "/dev/null", "-w", "%{speed_download} %{size_download}")
    speed, size = in_world(place, *words, f"http://{way.address}/bytes/{GIGABYTE}").split()
    assert int(float(size)) == GIGABYTE
    return float(speed) / 1e6


def requests(place: Path, way: Way, connections: int, seconds: float) -> float:
    """Small ones a second, of one thread."""
    words = ("wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", f"http://{way.address}/")
    out = in_world(place, *words)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", out)
    assert rate is not None, out
    assert "Non-2xx" not in out, out
    return float(rate[1])


def run(market: LiveLocalnet, place: Path, folder: Path, seconds: float, cpu: str) -> None:
    print(f"pod limit {cpu} of {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}\n")
    every = ways(market, deploy(market, folder, "echo", cpu))
    print(
        "| what, through a tcp service | best of the rounds (median) | of direct |\n|---|---|---|", flush=True
    )
    row("1 GB download", rounds(every, lambda way: download(place, way), DOWNLOADS), "MB/s")
    trustedpods(market, "delete", "bench-echo")
    every = ways(market, deploy(market, folder, "web", cpu))
    for connections in (1, 32):
        found = rounds(every, lambda way, count=connections: requests(place, way, count, seconds))
        row(f"requests/s, {connections} connections", found, "")
    print(f"\nload average at the end {os.getloadavg()[0]:.1f}")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=4)
    arguments.add_argument("--cpu", default="1000m")
    options = arguments.parse_args()
    knobs = Knobs(claim_interval_s=3600, kernel_tcp=True)
    with localnet(knobs=knobs) as market, tempfile.TemporaryDirectory() as folder, world(market) as place:
        run(market, place, Path(folder), options.seconds, options.cpu)


if __name__ == "__main__":
    main()
