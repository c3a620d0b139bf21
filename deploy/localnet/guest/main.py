# SPDX-License-Identifier: Apache-2.0
"""The one program that the guest's init starts: `trustedpods-supervisor CONFIGURATION`.

It makes the data disk, then keeps all units running for as long as the machine runs. Its end is the
machine's. What it says goes to the console, where the command line names one: names of units and states, why
one failed, and how much of the machine's memory is used by then.
"""

import os
import sys
from pathlib import Path

import trio

from trustedpods.localnet.folders import replace_file
from trustedpods.localnet.guest import data_disk, plan
from trustedpods.localnet.guest.configuration import read_configuration
from trustedpods.localnet.processes.cgroups import Tree
from trustedpods.localnet.processes.supervisor import Supervisor
from trustedpods.localnet.processes.units import UnitStatus
from trustedpods.protocol.errors import TrustedPodsError

STATE = Path("/var/lib/trustedpods")
"""On the data disk, or in memory where there is none."""

_MEMORY = Path("/run/trustedpods")
_RESOLVER = Path("/run/resolv.conf")
_ARGUMENTS = 2
_HELD = ("AnonPages", "Shmem", "SUnreclaim", "KernelStack", "PageTables", "Percpu")


def main() -> int:
    """Run until the machine ends. 2: the configuration or the disk is not as it must be, and why."""
    if len(sys.argv) != _ARGUMENTS:
        sys.stderr.write("error: trustedpods-supervisor CONFIGURATION\n")
        return 2
    try:
        configuration = read_configuration(Path(sys.argv[1]))
        _say("configuration read")
        device = data_disk.attached()
        if device is None:
            _say("no data disk: what pods write is in memory")
        else:
            data_disk.make(device, STATE, _MEMORY)
            _say("data disk made")
        made = plan.settings(STATE)
        tree = Tree(made.name)
        tree.make([])
        tree.join_parts(os.getpid())
        replace_file(_RESOLVER, f"nameserver {configuration.network.nameserver}\n".encode())
        trio.run(Supervisor(STATE, plan.units(made, configuration), told=_told).run)
    except (TrustedPodsError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
    return 2


def _told(status: UnitStatus) -> None:
    _say(f"{status.name} {status.state}" + (f": {status.note}" if status.note else ""))


def _say(text: str) -> None:
    uptime = Path("/proc/uptime").read_text().split()[0]
    used = used_mib(Path("/proc/meminfo").read_text())
    sys.stdout.write(f"guest: {uptime} s, {used} MiB used: {text}\n")
    sys.stdout.flush()


def used_mib(meminfo: str) -> int:
    """MiB that programs and kernel hold and do not give back, of /proc/meminfo's text.

    Pages of files are none of them: the kernel reads them again.
    """
    kib = {line.partition(":")[0]: int(line.split()[1]) for line in meminfo.splitlines()}
    return sum(kib[kind] for kind in _HELD) // 1024
