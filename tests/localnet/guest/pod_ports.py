# SPDX-License-Identifier: Apache-2.0
"""Which ports take a connection from inside a pod of the guest."""

import json
import os
import subprocess
import sys
from pathlib import Path

ASKED = (22, 53, 80, 443, 2379, 2380, 4001, 5000, 5354, 6443, 8181, 9464, 10248, 10249, 10250, 10256, 10257,
         10259)  # fmt: skip
"""Every port that something of a cluster or of ours listens at."""

_PROGRAM = """
import json, socket, sys
from concurrent.futures import ThreadPoolExecutor

def asked(place):
    try:
        socket.create_connection(place, 3.0).close()
    except OSError:
        return False
    return True

places = [(host, port) for host in json.loads(sys.argv[1]) for port in json.loads(sys.argv[2])]
with ThreadPoolExecutor(len(places)) as pool:
    print(json.dumps([f"{h}:{p}" for (h, p), yes in zip(places, pool.map(asked, places)) if yes]))
"""


def reached_from_a_pod(uid: str, addresses: tuple[str, ...], ports: tuple[int, ...]) -> list[str]:
    """`address:port` of each that takes a connection from the network of the pod with this *uid*."""
    inside = ["nsenter", f"--net=/proc/{_process(uid)}/ns/net"]
    argv = [*inside, sys.executable, "-IBc", _PROGRAM, json.dumps(addresses), json.dumps(ports)]
    done = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60)
    found: list[str] = json.loads(done.stdout)
    return found


def _process(uid: str) -> int:
    """One of the pod's processes, by its control group."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                group = (folder / "cgroup").read_text()
            except OSError:
                continue  # it ended
            if uid in group and os.readlink(folder / "ns/net") != os.readlink("/proc/self/ns/net"):
                return int(folder.name)
    raise SystemExit(f"no process of the pod {uid}")
