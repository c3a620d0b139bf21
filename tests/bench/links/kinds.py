# SPDX-License-Identifier: Apache-2.0
"""Kinds of links between two nodes: direct TCP, HAProxy with mutual TLS at both ends, and our tunnel.

    python -m tests.bench.links.kinds [--mib 256] [--rounds 3] [--asks 2000]

Two network namespaces with one link of 1500 bytes stand for two providers; it needs root, Go and HAProxy. One
connection at a time, the kinds in turn, another one first in each round. Of each are printed: the median of
its throughputs and of its ratio to the first, round by round; seconds of CPU for 10^9 bytes, of both ends and
of all that carries between them (what the kernel does in nobody's name is in none of them); and the median
and 99th percentile of a question of 64 bytes and its answer.
"""

import argparse
import base64
import contextlib
import ipaddress
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from trustedpods.protocol.limits import MIB

TUNNEL = Path(__file__).parents[3] / "deploy" / "tunnel"
ENDS = Path(__file__).with_name("ends.py")
SINK, FRONT, BACK, LISTEN = 29_200, 29_201, 29_202, 29_203
"""Ports: the far program's, those of HAProxy at both ends, and the tunnel's."""

START_S = 60.0
"""For a program to say that it is ready, on a machine that is busy."""


@dataclass(frozen=True)
class Side:
    """One of the two namespaces: its address outside, and its address in the tunnel."""

    name: str
    address: str
    inner: str

    def words(self, *command: str) -> list[str]:
        return ["nsenter", f"--net=/run/netns/{self.name}", "--", *command]


@dataclass
class Kind:
    """One kind of link: where the near side calls, and the processes that carry."""

    name: str
    address: str
    port: int
    carriers: Sequence[int] = ()
    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    asked: list[float] = field(default_factory=list)


@contextmanager
def two_sides() -> Iterator[tuple[Side, Side]]:
    """Two namespaces with one link between them."""
    made = [
        Side(f"links-{os.getpid()}-{number}", f"10.230.0.{number}", f"100.64.0.{number}") for number in (1, 2)
    ]
    with ExitStack() as stack:
        for one in made:
            _run("ip", "netns", "add", one.name)
            stack.callback(_run, "ip", "netns", "delete", one.name)
        near, far = made
        link = ["type", "veth", "peer", "eth0", "netns", far.name]
        _run("ip", "link", "add", "eth0", "netns", near.name, *link)
        for one in made:
            _run("ip", "-n", one.name, "address", "add", f"{one.address}/24", "dev", "eth0")
            for device in ("lo", "eth0"):
                _run("ip", "-n", one.name, "link", "set", device, "up")
        yield near, far


@contextmanager
def held(words: Sequence[str], given: str = "", *, says: bool = True) -> Iterator[int]:
    """A program until the end of the block, from when it says that it is ready; its process id."""
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(given)
        process.stdin.close()
        if says and (line := process.stdout.readline()) != "ready\n":
            raise SystemExit(f"{words[-1]} is not ready: {line}")
        yield process.pid
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def tunnel_configs(near: Side, far: Side) -> list[str]:
    """What each end's tunnel is to be."""
    keys = [X25519PrivateKey.generate() for _ in range(2)]
    publics = [key.public_key().public_bytes_raw() for key in keys]
    sides = (near, far)
    return [
        json.dumps(
            {
                "address": str(ipaddress.IPv4Address(one.inner)),
                "port": LISTEN,
                "key": base64.b64encode(keys[number].private_bytes_raw()).decode(),
                "opened": [{"protocol": "tcp", "port": SINK}],
                "peers": [
                    {
                        "node": other.name,
                        "key": base64.b64encode(publics[1 - number]).decode(),
                        "address": other.inner,
                        "endpoint": f"{other.address}:{LISTEN}",
                    }
                ],
            }
        )
        for number, (one, other) in enumerate([sides, sides[::-1]])
    ]


def tls_configs(folder: Path, far: Side) -> list[Path]:
    """HAProxy's configuration at each end, with one certificate for both."""
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=link"]
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    _run("openssl", "req", "-x509", *curve, "-days", "2", "-keyout", str(key), "-out", str(certificate))
    both = folder / "both.pem"
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    tls = f"ssl crt {both} ca-file {certificate} verify required"
    limits = " timeout connect 5s\n timeout client 2m\n timeout server 2m\n"
    base = f"global\n nbthread 1\ndefaults\n mode tcp\n{limits}"
    parts = {
        "near": f"listen near\n bind 127.0.0.1:{FRONT}\n server far {far.address}:{BACK} {tls}\n",
        "far": f"listen far\n bind *:{BACK} {tls}\n server sink 127.0.0.1:{SINK}\n",
    }
    made = []
    for name, part in parts.items():
        path = folder / f"{name}.cfg"
        path.write_text(base + part)
        made.append(path)
    return made


@contextmanager
def kinds(folder: Path) -> Iterator[tuple[Side, int, list[Kind]]]:
    """All kinds, ready; with the near side, and the process id of the far program."""
    program = folder / "tunnel"
    _run("go", "build", "-trimpath", "-buildvcs=false", "-o", str(program), ".", at=TUNNEL)
    with ExitStack() as stack:
        near, far = stack.enter_context(two_sides())
        sink = stack.enter_context(held(far.words(sys.executable, str(ENDS), "sink", str(SINK))))
        proxies = [
            stack.enter_context(held(side.words("haproxy", "-db", "-f", str(path)), says=False))
            for side, path in zip((near, far), tls_configs(folder, far), strict=True)
        ]
        tunnels = [
            stack.enter_context(held([str(program), "-namespace", f"/run/netns/{side.name}"], config))
            for side, config in zip((near, far), tunnel_configs(near, far), strict=True)
        ]
        made = [
            Kind("direct", far.address, SINK),
            Kind("HAProxy, mutual TLS", "127.0.0.1", FRONT, proxies),
            Kind("tunnel", far.inner, SINK, tunnels),
        ]
        for one in made:
            _until_it_answers(near, one)
        yield near, sink, made


def _until_it_answers(near: Side, kind: Kind) -> None:
    last = time.monotonic() + START_S
    while time.monotonic() < last:
        with contextlib.suppress(subprocess.CalledProcessError):
            _end(near, "ask", kind, 1)
            return
        time.sleep(0.2)
    raise SystemExit(f"{kind.name} does not answer within {START_S:.0f} s")


def _end(near: Side, verb: str, kind: Kind, count: int) -> object:
    words = near.words(sys.executable, str(ENDS), verb, kind.address, str(kind.port), str(count))
    done = subprocess.run(words, check=True, capture_output=True, text=True, timeout=300)
    return json.loads(done.stdout)


def cpu_s(processes: Sequence[int]) -> float:
    """What the threads of *processes* have had of the CPU, by the kernel's own account."""
    tasks = [task for one in processes for task in Path(f"/proc/{one}/task").glob("*/schedstat")]
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def measure(near: Side, sink: int, kind: Kind, mib: int, asks: int) -> None:
    """One round of one kind."""
    before = cpu_s([sink, *kind.carriers])
    sent = _end(near, "send", kind, mib)
    assert isinstance(sent, dict)
    spent = cpu_s([sink, *kind.carriers]) - before + sent["cpu"]
    kind.rates.append(mib * MIB / sent["seconds"] / 1e6)
    kind.cpu.append(spent / (mib * MIB / 1e9))
    asked = _end(near, "ask", kind, asks)
    assert isinstance(asked, list)
    kind.asked += asked


def report(made: Sequence[Kind]) -> None:
    """A row of each, in the form of docs/benchmarks.md."""
    first = made[0]
    print("| link | MB/s | of direct | CPU for a GB | question and answer, median, 99 % |")
    print("|---|---|---|---|---|")
    for one in made:
        asked = statistics.quantiles(one.asked, n=100)
        row = [
            f"{statistics.median(one.rates):.0f} ({', '.join(f'{rate:.0f}' for rate in one.rates)})",
            f"{_ratio(one, first):.2f}",
            f"{statistics.median(one.cpu):.2f} s",
            f"{asked[49]:.0f} µs, {asked[98]:.0f} µs",
        ]
        print(f"| {one.name} | {' | '.join(row)} |")
    named: Mapping[str, Kind] = {one.name: one for one in made}
    ratio = _ratio(named["tunnel"], named["HAProxy, mutual TLS"])
    print(f"\ntunnel / HAProxy with mutual TLS = {ratio:.2f}, load average {os.getloadavg()[0]:.1f}")


def _ratio(one: Kind, other: Kind) -> float:
    return statistics.median(a / b for a, b in zip(one.rates, other.rates, strict=True))


def _run(*words: str, at: Path | None = None) -> None:
    subprocess.run(words, cwd=at, check=True, capture_output=True, env={**os.environ, "CGO_ENABLED": "0"})


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--mib", type=int, default=256)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--asks", type=int, default=2000)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder, kinds(Path(folder)) as (near, sink, made):
        for number in range(options.rounds):
            first = number % len(made)
            for one in (*made[first:], *made[:first]):
                measure(near, sink, one, options.mib, options.asks)
        report(made)


if __name__ == "__main__":
    main()
