# SPDX-License-Identifier: Apache-2.0
"""What a provider's daemon costs while 200 pods sleep, and how soon it is in step again after a kill.

    python -m tests.bench.idle_pods [--pods 200] [--seconds 120]

Every pod is deployed through the publisher's own command. Ends non-zero when a goal is missed:
2 % of a core, 300 MB, 5 s.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.live.clients import daemons
from tests.live.clients.publisher import Json, Publisher, provider
from tests.live.localnet_fixture import LiveLocalnet, localnet
from tests.live.observers.money import Bank
from tests.live.observers.waiting import until
from trustedpods.localnet.settings import Knobs

DEPLOYS_AT_ONCE = 4
MOST_CPU_PERCENT = 2.0
MOST_MEMORY_MB = 300.0
MOST_RESTART_S = 5.0
ASLEEP_LIMIT_S = 120
BACK_LIMIT_S = 60
TICKS = os.sysconf("SC_CLK_TCK")


def small(spec: Json) -> None:
    """Little, so that several can start beside each other; asleep they reserve nothing."""
    spec["scale"] = {"min": 0, "max": 1, "idleAfter": "2s"}
    (container,) = spec["containers"]
    container["resources"]["limits"] |= {"cpu": "10m", "memory": "16Mi"}


def deploy_all(person: Publisher, count: int) -> None:
    def one(number: int) -> None:
        file = person.manifest("hello", f"idle-{number}", small)
        person.deploy(file, "--deposit", "6h")
        if number % 20 == 0:
            sys.stderr.write(f"deployed {number}\n")

    with ThreadPoolExecutor(DEPLOYS_AT_ONCE) as pool:
        list(pool.map(one, range(1, count + 1)))


def asleep(market: LiveLocalnet, count: int) -> bool:
    """The daemon knows of every pod: its machine sleeps and its money is known."""
    pods: Any = provider(market, "pods")
    return len(pods) == count and all(
        pod["scale"] == "asleep" and pod["runwaySeconds"] is not None for pod in pods
    )


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith("VmRSS:"))


def restart_seconds(market: LiveLocalnet, count: int) -> float:
    """From the next daemon's own start, as the kernel has it, to all pods known again."""
    killed = daemons.kill(market)
    pid = until("another daemon", lambda: _other(market, killed), BACK_LIMIT_S)
    assert pid is not None
    began = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]) / TICKS
    until("all pods known again", lambda: _answers(market) and asleep(market, count), BACK_LIMIT_S)
    return time.clock_gettime(time.CLOCK_BOOTTIME) - began


def _other(market: LiveLocalnet, killed: int) -> int | None:
    pid = market.parts()[daemons.part()]["pid"]
    return int(pid) if pid not in (None, killed) else None


def _answers(market: LiveLocalnet) -> bool:
    return (market.cluster().path("provider", "operator.sock")).exists() and (
        market.parts()[daemons.part()]["state"] == "ready"
    )


def run(market: LiveLocalnet, person: Publisher, pods: int, seconds: float) -> dict[str, float]:
    began = time.monotonic()
    deploy_all(person, pods)
    deployed = time.monotonic() - began
    until("all pods asleep", lambda: asleep(market, pods), ASLEEP_LIMIT_S)
    pid = market.pid(daemons.part())
    before, clock = cpu_seconds(pid), time.monotonic()
    time.sleep(seconds)  # the length of the measurement, not a wait for something
    used = (cpu_seconds(pid) - before) / (time.monotonic() - clock)
    return {
        "deploy_s": deployed / pods,
        "cpu_percent": 100 * used,
        "memory_mb": memory_mb(pid),
        "restart_s": restart_seconds(market, pods),
    }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--pods", type=int, default=200)
    arguments.add_argument("--seconds", type=float, default=120)
    options = arguments.parse_args()
    knobs = Knobs(claim_interval_s=3600, idle_after_s=2)
    with localnet(knobs=knobs) as market, tempfile.TemporaryDirectory() as folder:
        person = Publisher(market, Bank(market).new_account(Path(folder)), Path(folder))
        figures = run(market, person, options.pods, options.seconds)
    print(json.dumps({"pods": options.pods, **figures}, indent=2))
    goals = (("cpu_percent", MOST_CPU_PERCENT), ("memory_mb", MOST_MEMORY_MB), ("restart_s", MOST_RESTART_S))
    sys.exit(any(figures[name] > most for name, most in goals))


if __name__ == "__main__":
    main()
