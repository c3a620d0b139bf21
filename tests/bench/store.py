# SPDX-License-Identifier: Apache-2.0
"""What a daemon with very many sleeping pods in its store costs, and how soon it is in step after a start.

    python -m tests.bench.store [--pods 1000] [--seconds 600]

The daemon and its store are real, the doors are fakes that count their calls, and time is virtual: a
simulated hour takes a few minutes. Ends non-zero when a goal is missed.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import trio
from trio.testing import MockClock

from tests.fakes.provider.full_store import FullWorld, count_statements, in_step, let_pass

MOST_RECONCILED_S = 5.0
MOST_CPU_PERCENT = 10.0
MOST_MEMORY_MB = 300.0
SETTLED_AFTER_S = 5
ANSWER_S = 0.02
"""Virtual time stands still for so long, for threads of the store to answer."""

HOUR_S = 3600


def memory_mb() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith("VmRSS:"))


async def measure(pods: int, seconds: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        world = FullWorld(Path(folder), pods=pods)
        await world.fill()
        before = memory_mb()
        began, clock = time.perf_counter(), time.process_time()
        async with world.run() as (parts, _):
            count_statements(parts.doors.store, world.counts)
            while not in_step(parts, pods):
                await trio.sleep(0.05)
            reconciled, start_cpu = time.perf_counter() - began, time.process_time() - clock
            await let_pass(world, SETTLED_AFTER_S)
            world.counts.clear()
            clock = time.process_time()
            await let_pass(world, seconds)
            cpu = time.process_time() - clock
            after = memory_mb()
    return {
        "pods": pods,
        "reconciled_s": round(reconciled, 2),
        "start_cpu_s": round(start_cpu, 2),
        "cpu_s_per_simulated_hour": round(cpu * HOUR_S / seconds, 1),
        "cpu_percent": round(100 * cpu / seconds, 2),
        "memory_mb": round(after, 1),
        "memory_kb_per_pod": round(1000 * (after - before) / pods, 1),
        "calls_per_simulated_minute": _per_minute(world.counts, seconds),
    }


def _per_minute(counts: Mapping[str, int], seconds: int) -> dict[str, float]:
    return {name: round(60 * calls / seconds, 1) for name, calls in sorted(counts.items())}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--pods", type=int, default=1000)
    arguments.add_argument("--seconds", type=int, default=600)
    options = arguments.parse_args()
    clock = MockClock(autojump_threshold=ANSWER_S)
    figures = trio.run(measure, options.pods, options.seconds, clock=clock)
    print(json.dumps(figures, indent=2))
    goals = (
        ("reconciled_s", MOST_RECONCILED_S),
        ("cpu_percent", MOST_CPU_PERCENT),
        ("memory_mb", MOST_MEMORY_MB),
    )
    sys.exit(any(figures[name] > most for name, most in goals))


if __name__ == "__main__":
    main()
