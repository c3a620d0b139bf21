# SPDX-License-Identifier: Apache-2.0
"""What a network of many nodes costs: its plan, one address that changes, and all of them, one after another.

    python -m tests.bench.networks.many_nodes [--nodes 10 25 50 100]

Ten clusters are simulated: behind each door is the daemon's own core, documents are signed and sealed as
anywhere, and pods are fakes of our own door to them. Prints a table for docs/benchmarks.md.
"""

import argparse
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import trio
from trio.testing import MockClock

from tests.fakes.network_states import ALICE, SHOP, state_of
from tests.fakes.provider.pods import a_manifest
from tests.publisher.conftest import ListShow
from tests.publisher.core.test_select import row
from tests.publisher.networks.test_holding import FakeDoor, network
from tests.publisher.verbs.networks.test_applying import FakePods
from trustedpods.manifests.network.model import NodePlacement
from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.protocol.messages.pod import Endpoint
from trustedpods.protocol.networks.documents import Prepare
from trustedpods.publisher.core.cost import Shape
from trustedpods.publisher.core.networks.plan import Plan, WantedNode, plan_of
from trustedpods.publisher.core.networks.planning.placing import FileNode, placed
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.networks.recording import RecordedChange, recorded
from trustedpods.publisher.verbs.networks.applying import Applying, ConfirmedNode, view_of

CLUSTERS = tuple(f"k{number}" for number in range(10))
MANY = (10, 25, 50, 100)
NEIGHBOURS = 3
"""Each node calls so many in a ring, and `n0` besides, as nodes of a chain call their first one."""

SHAPE = Shape(cpu_milli=100, memory_mib=64, storage_mib=0, scratch_mib=0, max_replicas=1, min_replicas=1)


@dataclass(frozen=True)
class Cost:
    """Processor seconds, documents that all clusters together took, their bytes, and books of nodes."""

    cpu_s: float
    documents: int
    written: int
    books: int


class MovingPods(FakePods):
    """Each deploy publishes a port that no deploy had; what is told is counted."""

    def __init__(self) -> None:
        super().__init__()
        self.port = self.told = 0

    async def deploy(self, node: str, cluster: Any, book: Any) -> ConfirmedNode:
        await super().deploy(node, cluster, book)
        self.port += 1
        url = f"tcp://192.0.2.7:{30_000 + self.port % 2_000}"
        return ConfirmedNode([Endpoint(service="p2p", port=8080, url=url)])

    async def tell(self, node: str, book: Any) -> None:
        await super().tell(node, book)
        self.told += 1


class SimulatedNetwork:
    """So many nodes at ten providers, none of which is there yet."""

    def __init__(self, count: int) -> None:
        self.doors = {name: FakeDoor() for name in CLUSTERS}
        self.pods, self.journal = MovingPods(), Journal(ListShow())
        names = [f"n{number}" for number in range(count)]
        self.rows = {name: row(number) for number, name in enumerate(CLUSTERS)}
        self.file = [FileNode(name, name, NodePlacement(), b"1" * 32, SHAPE) for name in names]
        self.manifests = {name: _manifest(names, number) for number, name in enumerate(names)}

    async def found(self) -> None:
        """Its first document."""
        async with _changing(self.doors, "network connect") as change:
            empty = state_of(clusters=CLUSTERS).model_copy(update={"components": []})
            await change.write(empty, result="done")

    async def apply(self, version: int, *changed: str) -> tuple[Cost, Cost]:
        """The cost of the plan, and of the apply, where all nodes or *changed* ones have that *version*."""
        digest = bytes([version]) * 32
        self.file = [
            replace(one, digest=digest) if not changed or one.name in changed else one for one in self.file
        ]
        async with _changing(self.doors, "network apply") as change:
            with self._counted() as planning:
                nodes, plan = self._planned(change)
            with self._counted() as applying:
                begun = Applying(ALICE.address, change, self.pods, self.journal, self.manifests)
                await begun.nodes(plan.nodes, nodes)
        return planning[0], applying[0]

    def _planned(self, change: RecordedChange) -> tuple[Sequence[WantedNode], Plan]:
        view = view_of(change)
        nodes = placed(self.file, view.content, self.rows)
        return nodes, plan_of(view.content, view.roster, nodes, None, ALICE.address)

    @contextmanager
    def _counted(self) -> Iterator[list[Cost]]:
        found: list[Cost] = []
        asked = {name: len(door.asked) for name, door in self.doors.items()}
        told, began = self.pods.told, time.process_time()
        yield found
        cpu = time.process_time() - began
        written = [
            question.document
            for name, door in self.doors.items()
            for question in door.asked[asked[name] :]
            if isinstance(question, Prepare)
        ]
        size = sum(len(document.body) for document in written)
        found.append(Cost(cpu, len(written), size, self.pods.told - told))


@asynccontextmanager
async def _changing(doors: dict[str, FakeDoor], said: str) -> AsyncIterator[RecordedChange]:
    async with (
        network(doors, ALICE.address, CLUSTERS).locked(said) as held,
        recorded(held, ALICE, SHOP, said, []) as change,
    ):
        yield change


def _manifest(names: Sequence[str], number: int) -> PodManifest:
    calls = {names[0], *(names[(number + step) % len(names)] for step in range(1, NEIGHBOURS + 1))}
    p2p = {"name": "p2p", "expose": "nodePort", "ports": [{"port": 8080}]}
    nodes = sorted(calls - {names[number]})
    return a_manifest(services=[p2p], scale={"min": 1}, network={"nodes": nodes})


@dataclass(frozen=True)
class Figures:
    """Of a network of so many nodes: a plan, one address that all others have, and each address in turn."""

    nodes: int
    plan: Cost
    one: Cost
    all: Cost


async def figures(count: int) -> Figures:
    """Begin a network of *count* nodes, and change it."""
    simulated = SimulatedNetwork(count)
    await simulated.found()
    plan, _ = await simulated.apply(1)
    _, one = await simulated.apply(2, "n0")
    _, every = await simulated.apply(3)
    return Figures(count, plan, one, every)


def measured(count: int) -> Figures:
    """The same in time that is virtual."""

    async def run() -> Figures:
        return await figures(count)

    return trio.run(run, clock=MockClock(autojump_threshold=0))


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description="What a network of many nodes costs.")
    parser.add_argument("--nodes", type=int, nargs="+", default=MANY)
    sys.stdout.write(
        "| nodes | plan | one address | its documents | its books | all addresses | documents | books |\n"
    )
    sys.stdout.write("|---|---|---|---|---|---|---|---|\n")
    for count in parser.parse_args().nodes:
        it = measured(count)
        sys.stdout.write(
            f"| {it.nodes} | {it.plan.cpu_s * 1000:.1f} ms "
            f"| {it.one.cpu_s:.2f} s | {it.one.documents} of {_kib(it.one)} KiB | {it.one.books} "
            f"| {it.all.cpu_s:.1f} s | {it.all.documents} of {_kib(it.all)} KiB | {it.all.books} |\n"
        )
    return 0


def _kib(cost: Cost) -> int:
    return round(cost.written / cost.documents / 1024)


if __name__ == "__main__":
    sys.exit(main())
