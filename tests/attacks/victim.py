# SPDX-License-Identifier: Apache-2.0
"""The daemon that is attacked: a process of its own, so that its memory and its time are its own.

It is the real one over fakes of chain, cluster, facade and registry (`tests/fakes/provider/world.py`); its
attackers and its honest clients talk to it over TCP.
"""

import multiprocessing
import secrets
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trio

from tests.fakes.provider.caller import ASK, Caller
from tests.fakes.provider.world import World
from trustedpods.protocol.limits import MIB
from trustedpods.protocol.messages.admission import Admitted
from trustedpods.provider.keys.boot import BootKeys

HONEST_WITHIN_S = 60.0
"""Dial, attest, dial again, ask for admission. Some 40 ms when nothing else runs; CI machines may be slow."""


@dataclass
class Victim:
    """A running daemon and what its publishers know of it."""

    world: World
    address: str
    pid: int
    folder: Path

    async def serve_honest(self) -> float:
        """An honest publisher is served within the limit; how long it took."""
        began = trio.current_time()
        with trio.fail_after(HONEST_WITHIN_S):
            caller = Caller(self.world, self.address)
            nonce = secrets.token_bytes(32)
            assert (await caller.attest(nonce)).nonce == nonce
            left = await caller.ask("admit", ASK, Admitted)
            assert left.capacity.services["http"] > 0
        return trio.current_time() - began

    @property
    def memory_mib(self) -> float:
        """Resident memory of the daemon now."""
        return self._status("VmRSS")

    @property
    def peak_mib(self) -> float:
        """The most that it ever was since `forget_peak`."""
        return self._status("VmHWM")

    def forget_peak(self) -> None:
        """Count the peak from now on."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def _status(self, name: str) -> float:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024 / MIB
        raise AssertionError(name)


async def _serve(pipe, folder, keys, owner_key, spool_mib):
    world = World(folder, keys=BootKeys.from_json(keys), owner_key=owner_key, spool_mib=spool_mib)
    async with world.run() as (_, address), trio.open_nursery() as nursery:
        nursery.start_soon(_keep_time, world)
        pipe.send(address)
        await trio.to_thread.run_sync(pipe.recv)
        nursery.cancel_scope.cancel()


async def _keep_time(world):
    """A clock that stands still finds the requests of real clients too new after a minute."""
    while True:
        world.pass_time(max(0.0, time.time() - world.now))
        await trio.sleep(1)


@contextmanager
def victim_in(folder: Path, before: "Victim | None" = None, spool_mib: int = 64):
    """Start it, and kill it at the end; with one *before* it takes over that one's keys and folder."""
    keys = before.world.keys if before else BootKeys.generate()
    owner_key = before.world.owner_key if before else secrets.token_bytes(32)
    here, there = multiprocessing.Pipe()
    arguments = (_serve, there, folder, keys.to_json(), owner_key, spool_mib)
    process = multiprocessing.get_context("spawn").Process(target=trio.run, args=arguments, daemon=True)
    process.start()
    there.close()
    try:
        world = World(folder / "outside", keys=keys, owner_key=owner_key)
        assert process.pid is not None
        yield Victim(world, here.recv(), process.pid, folder)
        assert process.is_alive(), "the daemon died of it"
    finally:
        here.close()
        process.kill()
        process.join()
