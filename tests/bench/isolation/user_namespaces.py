# SPDX-License-Identifier: Apache-2.0
"""What a pod's start costs with user ids of its own and without, and with Debian's container runtime.

    python -m tests.bench.isolation.user_namespaces [--starts 20]

One pod after another, made, seen to run, removed: first in a cluster of Debian's runtime, then in one of ours
those with and without in turn. Processor time is that of the cluster's parts and of the pod until it runs;
memory is the runtime's process for the pod.
Ends non-zero where ids of its own cost half more than the same runtime without, in time or processor.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trio

from tests.live.localnet_fixture import FAST, LiveLocalnet, localnet
from trustedpods.localnet.processes.cgroups import Tree, hierarchies
from trustedpods.provider.cluster.api.http import Api, open_api, path_of
from trustedpods.provider.cluster.api.kubeconfig import load
from trustedpods.provider.cluster.applying import apply

MOST_MORE = 1.5
LIMIT_S = 60
LOOK_EVERY_S = 0.02
WARM_UP = 2
"""First starts of each kind, which are not counted: programs are read from the disk."""

NAME, SPACE = "measured", "default"


@dataclass(frozen=True)
class Kind:
    """A way to start a pod."""

    title: str
    market: LiveLocalnet
    own: bool


@dataclass(frozen=True)
class Start:
    """One start: seconds until it was seen to run, processor seconds until then, KiB of its shim's own."""

    seconds: float
    processor: float
    shim_kib: int


def pod(*, own: bool) -> dict[str, object]:
    """As a tenant's, with a volume in memory."""
    container = {
        "name": "c", "image": "docker.io/local/busybox:1", "imagePullPolicy": "Never",
        "command": ["/bin/busybox", "sleep", "600"], "volumeMounts": [{"name": "v", "mountPath": "/v"}],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }  # fmt: skip
    security = {"runAsUser": 61_079, "fsGroup": 65_532, "seccompProfile": {"type": "RuntimeDefault"}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": NAME, "namespace": SPACE},
        "spec": {
            **({"hostUsers": False} if own else {}),
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "securityContext": security,
            "containers": [container],
            "volumes": [{"name": "v", "emptyDir": {"medium": "Memory"}}],
        },
    }


def processor(name: str) -> float:
    """Seconds that the localnet's parts and pods have taken so far."""
    for mount, version in hierarchies():
        file = mount / f"tp-{name}" / ("cpuacct.usage" if version == 1 else "cpu.stat")
        if not file.exists():
            continue
        if version == 1:
            return int(file.read_text()) / 1e9
        return int(file.read_text().split()[1]) / 1e6
    raise SystemExit("no control group counts processor time here")


def shim_kib(name: str) -> int:
    """What the one pod's shim has to itself of memory."""
    for pid in Tree(name).pids("parts"):
        process = Path(f"/proc/{pid}")
        if "containerd-shim" in (process / "cmdline").read_text():
            lines = (process / "smaps_rollup").read_text().splitlines()
            return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    raise SystemExit("no shim runs")


async def start(api: Api, kind: Kind) -> Start:
    place, name = path_of("Pod", SPACE, NAME), kind.market.settings.name
    before, began = processor(name), time.monotonic()
    await apply(api, pod(own=kind.own))
    with trio.fail_after(LIMIT_S):
        while (await api.get(place)).get("status", {}).get("phase") != "Running":
            await trio.sleep(LOOK_EVERY_S)
    took = Start(time.monotonic() - began, processor(name) - before, shim_kib(name))
    await api.delete(place)
    with trio.fail_after(LIMIT_S):
        while await api.find(place) is not None:
            await trio.sleep(LOOK_EVERY_S)
    return took


async def measure(kinds: list[Kind], starts: int) -> dict[str, list[Start]]:
    found: dict[str, list[Start]] = {kind.title: [] for kind in kinds}
    for number in range(WARM_UP + starts):
        for kind in kinds:
            async with open_api(await load(kind.market.kubeconfig())) as api:
                one = await start(api, kind)
            if number >= WARM_UP:
                found[kind.title].append(one)
    return found


@contextmanager
def cluster(*, ours: bool) -> Iterator[list[Kind]]:
    """A cluster, and the kinds that are started in it in turn."""
    knobs = FAST.model_copy(update={"provider": False, "user_namespaces": ours})
    with localnet(knobs=knobs) as market:
        if ours:
            yield [
                Kind("containerd 2, runc 1.5; the node's ids", market, own=False),
                Kind("containerd 2, runc 1.5; ids of its own", market, own=True),
            ]
        else:
            yield [Kind("containerd 1.6, runc 1.1; the node's ids", market, own=False)]


def median(values: Iterator[float]) -> float:
    return statistics.median(values)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--starts", type=int, default=20)
    given = parser.parse_args()
    found: dict[str, list[Start]] = {}
    for ours in (False, True):
        with cluster(ours=ours) as kinds:
            found |= trio.run(measure, kinds, given.starts)
    for title, starts in found.items():
        seconds = sorted(one.seconds for one in starts)
        sys.stdout.write(
            f"{title:42} {median(iter(seconds)):.2f} s ({seconds[0]:.2f}-{seconds[-1]:.2f}), "
            f"{median(one.processor for one in starts):.2f} s of processor, "
            f"{median(one.shim_kib for one in starts) / 1024:.1f} MiB of its shim\n"
        )
    _, without, own = found.values()
    more = median(one.seconds for one in own) / median(one.seconds for one in without)
    of_processor = median(one.processor for one in own) / median(one.processor for one in without)
    sys.stdout.write(f"ids of its own: {more:.2f}x the time, {of_processor:.2f}x the processor time\n")
    return int(max(more, of_processor) > MOST_MORE)


if __name__ == "__main__":
    sys.exit(main())
