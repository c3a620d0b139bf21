# SPDX-License-Identifier: Apache-2.0
"""A Debian 12 of its own in a folder: commands in it, and a start of its systemd.

It has no network, but where its systemd runs in that of a node of a localnet (`running`).
"""

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

from tests.live.observers.waiting import until
from trustedpods.localnet.cluster import binaries
from trustedpods.localnet.folders import waiting_for

RELEASE = "bookworm"
PACKAGES = (
    "busybox-static,ca-certificates,dbus,docker-registry,haproxy,libgmp10,nftables,passwd,python3,systemd,"
    "systemd-sysv"
)
"""What the package depends on and recommends, so that apt needs no network, and a systemd that starts."""

VOLATILE = {"dev", "proc", "run", "sys", "tmp", "root"}
"""Folders of the machine that are no part of what is installed."""

COMMAND_S = 500
"""For an install on a machine that is busy with other tests; alone it takes 20 s."""

NSPAWN = ("systemd-nspawn", "--quiet", "--register=no", "--keep-unit")
ALONE = ("--private-network",)
UNTOUCHED = ("--timezone=off", "--resolv-conf=off")
"""The machine keeps its own files: none is the host's."""


def system() -> Path:
    """The archive of a fresh machine, made once by mmdebstrap: 40 s of processor time, and a download."""
    name = hashlib.sha256(f"{RELEASE} {PACKAGES}".encode()).hexdigest()[:16]
    made = binaries.cache() / f"debian-{name}.tar"
    binaries.cache().mkdir(parents=True, exist_ok=True)
    with waiting_for(binaries.cache() / "debian.lock"):
        if not made.exists():
            with tempfile.TemporaryDirectory(dir=binaries.cache(), prefix="building-") as work:
                fresh = Path(work) / "debian.tar"
                argv = ["mmdebstrap", "--variant=apt", f"--include={PACKAGES}", "--quiet"]
                argv += ["--aptopt=Apt::Install-Recommends false", RELEASE, str(fresh)]
                subprocess.run(argv, check=True, capture_output=True, text=True)
                fresh.replace(made)
    return made


class Machine:
    """A fresh machine in a folder."""

    def __init__(self, folder: Path) -> None:
        self.root = folder
        folder.mkdir()
        subprocess.run(["tar", "--extract", "--file", system(), "--directory", folder], check=True)

    def run(self, command: str) -> "subprocess.CompletedProcess[str]":
        """A line for its shell; nothing else runs in it."""
        return self._spawn(*ALONE, "--pipe", "/bin/sh", "-c", command)

    def started(self, script: str) -> str:
        """Start its systemd, run *script* once all has come up, and stop it: what the script printed."""
        (self.root / "root/script").write_text(script)
        unit = self.root / "etc/systemd/system/script.service"
        unit.write_text(UNIT)
        wanted = unit.parent / "multi-user.target.wants" / unit.name
        wanted.symlink_to(f"../{unit.name}")
        done = self._spawn(*ALONE, "--console=pipe", "--boot")
        for path in (unit, wanted):
            path.unlink()
        printed = self.root / "root/printed"
        assert printed.exists(), done.stdout + done.stderr
        return printed.read_text()

    @contextmanager
    def running(self, network: Path) -> Iterator["RunningMachine"]:
        """Start its systemd in the *network* namespace, and stop it behind the block."""
        words = [f"--network-namespace-path={network}", "--console=pipe", "--boot"]
        argv = [*NSPAWN, *UNTOUCHED, "-D", str(self.root), *words]
        nothing = subprocess.DEVNULL
        with subprocess.Popen(argv, stdin=nothing, stdout=nothing, stderr=nothing) as process:
            try:
                running = RunningMachine(until("its systemd runs", lambda: _child(process.pid)))
                running.wait_until_up()
                yield running
            finally:
                process.terminate()  # which stops its systemd in order
                try:
                    process.wait(STOP_S)
                finally:
                    process.kill()

    def files(self) -> set[str]:
        """All that is installed or was written."""
        found = set()
        for folder, folders, names in os.walk(self.root):
            place = Path(folder).relative_to(self.root)
            if place == Path():
                folders[:] = [name for name in folders if name not in VOLATILE]
            found |= {(place / name).as_posix() for name in [*folders, *names]}
        return found

    def text(self, names: Iterable[str]) -> str:
        """These files, one after another."""
        return "".join((self.root / name).read_text() for name in names)

    def _spawn(self, *words: str) -> "subprocess.CompletedProcess[str]":
        argv = [*NSPAWN, *UNTOUCHED, "-D", str(self.root), *words]
        return subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=COMMAND_S
        )


UP = ("running", "degraded")
START_S = 300.0
"""Alone it takes 2 s; beside other tests' builds once more than 120 s."""

STOP_S = 60.0


@dataclass(frozen=True)
class RunningMachine:
    """A machine whose systemd is the host's process *leader*."""

    leader: int

    def start(self, command: str) -> "subprocess.Popen[str]":
        """A line for a shell beside all that runs in it, with its output to be read."""
        namespaces = ("--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root", "--wd")
        argv = ["nsenter", "--target", str(self.leader), *namespaces, "--", "/bin/sh", "-c", command]
        seen = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8"}
        pipe = subprocess.PIPE
        return subprocess.Popen(argv, env=seen, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True)

    def run(self, command: str) -> "subprocess.CompletedProcess[str]":
        """The same until its end."""
        with self.start(command) as process:
            try:
                out, err = process.communicate(timeout=COMMAND_S)
            finally:
                process.kill()
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def wait_until_up(self) -> None:
        """Until nothing of its start is left to be done; fails with what is."""
        deadline = monotonic() + START_S
        while True:
            state = self.run("systemctl is-system-running").stdout.strip()
            if state in UP:
                return
            if monotonic() > deadline:
                left = self.run("systemctl list-jobs --no-legend --no-pager").stdout
                raise AssertionError(
                    f"not up within {START_S:.0f} s, it is {state!r}; left to be done:\n{left}"
                )
            sleep(0.5)

    def done(self, command: str) -> str:
        """What it printed; it must not fail."""
        ended = self.run(command)
        assert ended.returncode == 0, f"{command}: {ended.returncode}\n{ended.stdout}{ended.stderr}"
        return ended.stdout


def _child(pid: int) -> int:
    """Of a process that has one; 0 before."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(found[0]) if found else 0


UNIT = """\
[Unit]
After=multi-user.target
[Service]
ExecStart=/bin/sh -c 'systemctl is-system-running --wait; sh /root/script > /root/printed 2>&1'
ExecStopPost=/bin/systemctl --no-block poweroff
"""
