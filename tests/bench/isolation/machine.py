# SPDX-License-Identifier: Apache-2.0
"""What a machine of its own costs a provider: memory and time until its daemon answers, beside a host's.

    python -m tests.bench.isolation.machine [IMAGE]

IMAGE is the folder of `make guest` (build/guest). First the localnet's provider with its cluster, by the
container runtime that the image has too, in namespaces of this host; then the same in an emulated machine.
Memory is what programs and kernel hold and do not give back: on the host what came to it, less what the chain
has to itself, in the machine what its supervisor says. Processors are emulated, so the times say nothing of
real ones.
"""

import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trustedpods.localnet.down import down
from trustedpods.localnet.folders import log_file
from trustedpods.localnet.guest.main import used_mib
from trustedpods.localnet.processes import supervisor
from trustedpods.localnet.settings import Knobs, Settings
from trustedpods.localnet.up import up

LIMIT_S = 2400.0
CHAIN = "chain"
"""The one part that no provider has."""

ANSWERS = re.compile(r"guest: ([\d.]+) s, (\d+) MiB used: k1/provider ready")


@contextmanager
def market(kind: str, image: Path | None) -> Iterator[tuple[Settings, float]]:
    """It, and the seconds until its provider answered."""
    name, began = f"{kind}-{os.getpid()}", time.monotonic()
    try:
        knobs = Knobs(user_namespaces=image is None)
        yield up(name, guest=image, knobs=knobs, limit_s=LIMIT_S), time.monotonic() - began
    finally:
        down(name)


def used() -> int:
    """MiB of this host."""
    return used_mib(Path("/proc/meminfo").read_text())


def own_mib(pid: int) -> int:
    """What a process holds of itself."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon:")) // 1024


def on_host() -> tuple[int, float]:
    """MiB, and seconds."""
    before = used()
    with market("host", None) as (made, seconds):
        more = used() - before
        parts = supervisor.read_status(made.state)
        (chain,) = (one.pid for one in parts if one.name == CHAIN)
        assert chain is not None
        return more - own_mib(chain), seconds


def in_machine(image: Path) -> tuple[int, float, float]:
    """MiB, seconds of the machine's own clock until its daemon answered, and of ours until all was up."""
    with market("machine", image) as (made, seconds):
        said = log_file(made.state, "k1/machine").read_text(errors="replace")
    found = ANSWERS.findall(said)
    assert found, said[-2000:]
    uptime, mib = found[-1]
    return int(mib), float(uptime), seconds


def main() -> None:
    image = Path(sys.argv[1] if len(sys.argv) > 1 else "build/guest").resolve()
    print(f"load average {os.getloadavg()[0]:.1f}, {time.strftime('%Y-%m-%d %H:%M')}")
    host, host_s = on_host()
    machine, uptime_s, machine_s = in_machine(image)
    sizes = ", ".join(
        f"{name} {(image / name).stat().st_size / 1e6:.1f} MB"
        for name in ("root.img", "initrd.img", "vmlinuz")
    )
    print("| | on the host | in the machine | ratio |\n|---|---|---|---|")
    print(f"| memory when the daemon answers | {host} MiB | {machine} MiB | {machine / host:.2f}x |")
    print(f"| until the market is up | {host_s:.0f} s | {machine_s:.0f} s | {machine_s / host_s:.1f}x |")
    print(f"\nthe daemon answers {uptime_s:.0f} s after the machine's kernel; {sizes}")
    print(f"load average at the end {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
