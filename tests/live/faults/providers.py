# SPDX-License-Identifier: Apache-2.0
"""What befalls one provider of a localnet: its daemon ends, it is cut off, its machine restarts."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import yaml

from tests.live.clients import daemons
from tests.live.clients.publisher import Json, Publisher
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.waiting import until
from trustedpods.localnet.commands import run
from trustedpods.localnet.market.provider import keys_folder

CUT_S = 60.0
"""How long a provider is cut off: longer than a lease, and than what nodes wait for each other."""

WATCH_LIMIT_S = 240
"""Of one round of `watch`, which sends a bundle and waits until the pod serves; a busy machine is slow."""

Runs = dict[str, tuple[str, str, list[tuple[int, str]]]]
"""Of each replica its uid, its start, and its containers' counts of restarts and starts."""


def runs_of(replicas: Sequence[Json]) -> Runs:
    """What is equal as long as nothing of them is restarted in any way."""
    return {
        one["metadata"]["name"]: (
            one["metadata"]["uid"],
            one["status"]["startTime"],
            [
                (each["restartCount"], each["state"]["running"]["startedAt"])
                for each in one["status"]["containerStatuses"]
            ],
        )
        for one in replicas
    }


@dataclass(frozen=True)
class FaultyProvider:
    """The provider of the cluster *index*."""

    market: LiveLocalnet
    index: int

    def kill_daemon(self) -> None:
        """`kill -9`; back when another one listens."""
        daemons.restart(self.market, self.index)

    def restart_daemon(self) -> None:
        """Ended as an operator ends it; back when another one listens."""
        pid = self.market.pid(daemons.part(self.index))
        os.kill(pid, signal.SIGTERM)
        daemons.until_back(self.market, pid, self.index)

    @contextmanager
    def cut_off(self) -> Iterator[None]:
        """Nothing reaches its nodes, its pods, its daemon or its facade from outside, nor the other way."""
        links = [node.veth for node in self.market.cluster(self.index).nodes]
        try:
            for link in links:
                run(["ip", "link", "set", link, "down"])
            yield
        finally:
            for link in links:
                run(["ip", "link", "set", link, "up"])

    def reboot(self, namespaces: Sequence[str]) -> None:
        """The boot's keys are gone, the daemon starts anew, every replica of *namespaces* has ended."""
        for file in keys_folder(self.market.settings, self.market.cluster(self.index)).iterdir():
            file.unlink()
        killed = daemons.kill(self.market, self.index)
        for namespace in namespaces:
            words = ("delete", "pods", "--all", "--wait=false", "--grace-period=1")
            self.market.kubectl("-n", namespace, *words, index=self.index)
        daemons.until_back(self.market, killed, self.index)


WELL = {"ok", "released", "low"}
"""States of a pod in a round of `watch`: these runs pay for a day or less."""

LOOKED_AFTER_S = 400.0
"""Until a round finds all well: the first one releases pods, and a busy machine is slow with starts."""


def look_after(person: Publisher) -> None:
    """Rounds of `watch` until all is well in one."""

    def all_well() -> bool:
        process = person.start("watch", "--once", "-o", "json")
        with process:
            try:
                out, _ = process.communicate(timeout=WATCH_LIMIT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                return False
        return bool(out) and {pod["state"] for pod in json.loads(out)["pods"]} <= WELL

    within(f"watch of {person.folder.name} finds all well", all_well, LOOKED_AFTER_S)


def during(length_s: float, holds: Callable[[], None]) -> None:
    """Look at *holds*, which fails with what is wrong, again and again for that long."""
    end = monotonic() + length_s
    while monotonic() < end:
        holds()


def without_node(file: Path, name: str) -> str:
    """The Network file *file* beside itself without one of its nodes; its name."""
    tree = yaml.safe_load(file.read_text())
    tree["spec"]["nodes"] = [one for one in tree["spec"]["nodes"] if one["name"] != name]
    shorter = file.with_name(f"without-{name}.yaml")
    shorter.write_text(yaml.safe_dump(tree))
    return shorter.name


def within(what: str, look: Callable[[], bool], limit_s: float) -> float:
    """Wait until *look* holds; how long it took. `pytest -rP` shows it: the limits are stated by it."""
    began = monotonic()
    until(what, look, limit_s)
    took = monotonic() - began
    sys.stderr.write(f"{what}: {took:.0f} s of {limit_s:.0f} s\n")
    return took
