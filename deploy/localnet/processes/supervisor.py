# SPDX-License-Identifier: Apache-2.0
"""The process that keeps a localnet running: `python -m trustedpods.localnet.processes.supervisor STATE`.

It starts every unit as soon as what the unit needs is ready, starts parts again when they end
(with growing pauses), keeps logs bounded and writes `status.json` at every change. When it is
killed the parts run on; `up` starts it again and it takes over the processes that it finds.
"""

import dataclasses
import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import trio

from trustedpods.localnet import folders
from trustedpods.localnet.processes import processes
from trustedpods.localnet.processes.cgroups import Tree
from trustedpods.localnet.processes.fd_store import FdStore
from trustedpods.localnet.processes.units import Part, State, Step, Unit, UnitStatus
from trustedpods.protocol.errors import TrustedPodsError

_FIRST_PAUSE_S = 0.3
_LONGEST_PAUSE_S = 20.0
_STEADY_S = 30.0
"""A part that ran this long has recovered: its next pause is the first again."""
_PROBE_EVERY_S = 0.1
_PROBE_SLOWLY_EVERY_S = 1.0
_PATIENCE_S = 30.0
"""After this long without being ready a part is shown as failing (and still tried)."""
_CUT_LOGS_EVERY_S = 10.0


class Supervisor:
    """Runs the units of one localnet until it is killed; what ends is started again after *first_pause_s*.

    *told* hears of every change of a unit, besides the file.
    """

    def __init__(
        self,
        state: Path,
        units: Iterable[Unit],
        first_pause_s: float = _FIRST_PAUSE_S,
        told: Callable[[UnitStatus], None] = lambda status: None,
    ) -> None:
        self._state = state
        self._told = told
        self._first_pause_s = first_pause_s
        self._units = list(units)
        self._ready = {unit.name: trio.Event() for unit in self._units}
        self._status = {unit.name: _fresh(unit) for unit in self._units}
        self._earlier = {status.name: status for status in read_status(state)}
        keeping = [unit.name for unit in self._units if isinstance(unit, Part) and unit.keeps_sockets]
        self._kept = {name: FdStore(folders.notify_socket(state, name)) for name in keeping}

    async def run(self) -> None:
        """Start everything and keep it running; never returns."""
        self._write()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._cut_logs)
            for kept in self._kept.values():
                nursery.start_soon(kept.run)
            for unit in self._units:
                nursery.start_soon(self._run_unit, unit)

    async def _run_unit(self, unit: Unit) -> None:
        for name in unit.needs:
            await self._ready[name].wait()
        if isinstance(unit, Step):
            await self._do(unit)
        else:
            await self._keep_running(unit)

    async def _do(self, step: Step) -> None:
        pause = self._first_pause_s
        self._set(step.name, "starting")
        while True:
            try:
                await trio.to_thread.run_sync(step.run)
                break
            except (TrustedPodsError, OSError) as error:
                self._set(step.name, "failing", note=self._write_down(step, str(error)))
            await trio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)
        self._set(step.name, "done")
        self._ready[step.name].set()

    async def _keep_running(self, part: Part) -> None:
        process = await self._take_over(part)
        pause = self._first_pause_s
        while True:
            if process is None:
                log = folders.log_file(self._state, part.name)
                process = processes.start(part, log, self._kept.get(part.name))
            began = time.monotonic()
            self._status[part.name].pid = process.pid
            self._status[part.name].started = process.started
            self._status[part.name].digest = part.digest
            self._set(part.name, "starting")
            how = await self._watch(part, process)
            process = None
            pause = self._first_pause_s if time.monotonic() - began > _STEADY_S else pause
            self._status[part.name].restarts += 1
            self._status[part.name].pid = None
            self._set(part.name, "restarting", note=self._last_words(part, how))
            await trio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    async def _take_over(self, part: Part) -> processes.Running | None:
        """The part's process from before the supervisor was killed, if it is still as it should be."""
        earlier = self._earlier.get(part.name)
        if earlier is None:
            return None
        process = processes.find(earlier.pid, earlier.started)
        if process is not None and earlier.digest != part.digest:
            await process.stop()
            return None
        if process is not None:
            self._status[part.name].restarts = earlier.restarts
        return process

    async def _watch(self, part: Part, process: processes.Running) -> str:
        """Probe until the part is ready, then wait; returns how the process ended."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._probe, part)
            how = await process.ended()
            nursery.cancel_scope.cancel()
        return how

    async def _probe(self, part: Part) -> None:
        began = time.monotonic()
        while True:
            try:
                await trio.to_thread.run_sync(part.probe, abandon_on_cancel=True)  # type: ignore[call-arg]
                break
            except (TrustedPodsError, OSError) as error:
                waited = time.monotonic() - began
                if waited > _PATIENCE_S:
                    self._set(part.name, "failing", note=self._last_words(part, str(error)))
            await trio.sleep(_PROBE_EVERY_S if waited < _PATIENCE_S else _PROBE_SLOWLY_EVERY_S)
        self._set(part.name, "ready")
        self._ready[part.name].set()

    async def _cut_logs(self) -> None:
        while True:
            for log in (self._state / "log").glob("*.log"):
                processes.cut_log(log)
            await trio.sleep(_CUT_LOGS_EVERY_S)

    def _write_down(self, step: Step, text: str) -> str:
        """Put all that a failed step said into its log; returns the line that says most."""
        log = folders.log_file(self._state, step.name)
        log.parent.mkdir(exist_ok=True)
        with log.open("a") as file:
            file.write(text + "\n")
        lines = text.strip().splitlines()
        return lines[-1] if "Traceback" in text else lines[0]

    def _last_words(self, part: Part, how: str) -> str:
        line = processes.last_line(folders.log_file(self._state, part.name))
        return f"{how}: {line}" if line else how

    def _set(self, name: str, state: State, note: str = "") -> None:
        status = self._status[name]
        if (status.state, status.note) == (state, note) and state != "starting":
            return
        status.state, status.note, status.since = state, note, time.time()
        self._told(status)
        self._write()

    def _write(self) -> None:
        rows = [dataclasses.asdict(status) for status in self._status.values()]
        text = json.dumps({"supervisor": os.getpid(), "boot": _boot_id(), "units": rows}, indent=1)
        folders.replace_file(folders.status_file(self._state), text.encode())


def read_status(state: Path) -> list[UnitStatus]:
    """What the supervisor last wrote; empty when it never ran since this machine was started."""
    try:
        data = json.loads(folders.status_file(state).read_bytes())
    except FileNotFoundError:
        return []
    if data.get("boot") not in (None, _boot_id()):  # its pids belong to others now
        return []
    return [UnitStatus(**row) for row in data["units"]]


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _fresh(unit: Unit) -> UnitStatus:
    kind = "part" if isinstance(unit, Part) else "step"
    return UnitStatus(unit.name, kind, "waiting", time.time())  # type: ignore[arg-type]


def main(state: Path) -> None:
    """Run the supervisor of the localnet in *state*, as a member of its control groups."""
    from trustedpods.localnet.plan import units  # noqa: PLC0415 - the heavy half, after the lock

    settings = folders.read_settings(state)
    with folders.exclusive(folders.supervisor_lock(state), "another supervisor") as lock:
        os.ftruncate(lock, 0)
        os.write(lock, str(os.getpid()).encode())
        Tree(settings.name).join_parts(os.getpid())
        trio.run(Supervisor(state, units(settings)).run)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
