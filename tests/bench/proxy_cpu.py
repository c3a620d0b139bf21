# SPDX-License-Identifier: Apache-2.0
"""CPU of HAProxy for a request, of this source, of another checkout and of nginx, in one run.

    python -m tests.bench.proxy_cpu [--peer nginx] [--beside FOLDER ...] [--rounds 30]

The peer is Debian's nginx with rules like the facade's (`parts/nginx_proxy.py`). FOLDER is a checkout with
a `.venv` of its own. All stand on loopback in front of the same nginx, one thread each, and take the same
load of wrk (one thread, 32 connections, kept or new for each request), a second each in turn, another one
first in each round. What is counted is the kernel's own account of the proxy's time
(`/proc/PID/task/*/schedstat`). Of each the median and the quartiles of its rounds are printed, and those of
its ratio to the first one, round by round: other work on the machine makes all of them dearer.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.parts.nginx_proxy import nginx_proxy
from tests.provider.facade.parts import free_port

HERE = Path(__file__).parents[2]
CONNECTIONS = 32
ROUNDS = 30
LOADS = {"kept connections": (), "a connection for each request": ("-H", "Connection: close")}

_NGINX_CONF = """\
user root;
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{ return 200 "hello\\n"; }}
  }}
}}
"""


@dataclass(frozen=True)
class HeldFacade:
    """A facade, or a peer of it, that runs: whose it is, and where the process is that serves."""

    name: str
    pid: int
    port: int
    host: str

    def cpu_s(self) -> float:
        """What its threads have had of the CPU."""
        tasks = Path(f"/proc/{self.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


@contextmanager
def pod(folder: Path) -> Iterator[int]:
    """nginx with one worker that answers a few bytes; its port."""
    port = free_port()
    conf = folder / "nginx.conf"
    conf.write_text(_NGINX_CONF.format(folder=folder, port=port))
    process = subprocess.Popen(["nginx", "-c", str(conf)], stdin=subprocess.DEVNULL)
    try:
        yield port
    finally:
        process.terminate()
        process.wait()


@contextmanager
def held(source: Path, pod_port: int) -> Iterator[HeldFacade]:
    """The facade of a checkout."""
    python = source / ".venv/bin/python"
    script = HERE / "tests/bench/parts/held_facade.py"
    process = subprocess.Popen(
        [python, script, str(pod_port)],
        cwd=source,
        env={**os.environ, "PYTHONPATH": str(source)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        pid, port, host = process.stdout.readline().split()
        yield HeldFacade(revision(source), int(pid), int(port), host)
    finally:
        process.stdin.close()
        process.wait()


def revision(source: Path) -> str:
    """The commit of a checkout, marked if files differ from it."""
    words = ["git", "-C", str(source), "describe", "--always", "--dirty=+", "--exclude=*"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


def cost_us(facade: HeldFacade, load: tuple[str, ...], seconds: int) -> float:
    """Microseconds of HAProxy's CPU for a request."""
    words = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-H", f"Host: {facade.host}", *load]
    before = facade.cpu_s()
    out = subprocess.run(
        [*words, f"http://127.0.0.1:{facade.port}/"], capture_output=True, text=True, check=True
    ).stdout
    spent = facade.cpu_s() - before
    assert not re.search("Non-2xx|Socket errors", out), out
    count = re.search(r"(\d+) requests in", out)
    assert count is not None, out
    return spent / int(count[1]) * 1e6


def measure(
    facades: list[HeldFacade], load: tuple[str, ...], rounds: int, seconds: int
) -> dict[str, list[float]]:
    """Each in turn, another one first in each round; a round before does not count."""
    found: dict[str, list[float]] = {facade.name: [] for facade in facades}
    for number in range(-1, rounds):
        first = number % len(facades)
        for facade in (*facades[first:], *facades[:first]):
            cost = cost_us(facade, load, seconds)
            if number >= 0:
                found[facade.name].append(cost)
    return found


def quartiles(figures: list[float]) -> str:
    low, middle, high = statistics.quantiles(figures, n=4)
    return f"{middle:.2f} ({low:.2f}-{high:.2f})"


def report(what: str, found: dict[str, list[float]]) -> None:
    """A row of each, in the form of docs/benchmarks.md."""
    first = next(iter(found.values()))
    for name, figures in found.items():
        ratio = quartiles([one / other for one, other in zip(figures, first, strict=True)])
        print(f"| {what} | {name} | {quartiles(figures)} | {'' if figures is first else ratio} |", flush=True)


def run(sources: list[Path], peers: list[str], rounds: int, seconds: int) -> None:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        port = stack.enter_context(pod(Path(folder)))
        facades = [HeldFacade(name, *stack.enter_context(nginx_proxy(Path(folder), port))) for name in peers]
        facades += [stack.enter_context(held(source.absolute(), port)) for source in sources]
        print(f"load average {os.getloadavg()[0]:.1f}, {time.strftime('%Y-%m-%d %H:%M')}, {rounds} rounds\n")
        print("| load | source | µs of CPU a request (quartiles) | of the first |\n|---|---|---|---|")
        for what, load in LOADS.items():
            report(what, measure(facades, load, rounds, seconds))
        print(f"\nload average at the end {os.getloadavg()[0]:.1f}", file=sys.stderr)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--beside", type=Path, action="append", default=[], metavar="FOLDER")
    arguments.add_argument("--peer", choices=["nginx"], action="append", default=[])
    arguments.add_argument("--rounds", type=int, default=ROUNDS)
    arguments.add_argument("--seconds", type=int, default=1)
    options = arguments.parse_args()
    run([*options.beside, HERE], options.peer, options.rounds, options.seconds)


if __name__ == "__main__":
    main()
