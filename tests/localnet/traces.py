# SPDX-License-Identifier: Apache-2.0
"""What a localnet could leave on a machine."""

import os
import re
import subprocess
from pathlib import Path

from trustedpods.localnet.processes.cgroups import hierarchies

_SHARED_FOLDERS = ("/var/lib/cni/results", "/var/log/containers")
_OTHERS = re.compile(r"kubelet|containerd|netns|trustedpods-keys")
"""Mounts of other clusters on this machine, which come and go while a test runs."""


def of(name: str) -> set[str]:
    """Everything that carries the localnet's name: processes, mounts, groups, links, files."""
    word = re.compile(rf"(?<![a-z0-9-]){re.escape(name)}(?![a-z0-9])")
    return {trace for trace in _named() if word.search(trace)}


def of_machine() -> set[str]:
    """What must be equal before and after: the firewall, and mounts that belong to nobody's cluster."""
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    found = {f"mount {line}" for line in mounts if not _OTHERS.search(line)}
    return found | {f"firewall {line}" for line in _lines("iptables-save") if not line.startswith("#")}


def routes(octet: int) -> set[str]:
    """Routes to the addresses of one localnet, and links that lead there."""
    word = re.compile(rf"\b10\.{octet}\.|\btp{octet}(k\d)?\b")
    lines = [*_lines("ip", "route", "show", "table", "all"), *_lines("ip", "-oneline", "link", "show")]
    return {line for line in lines if word.search(line)}


def shim_sockets(state: Path) -> set[Path]:
    """Sockets of containerd's shims, which lie outside of its folders and have hashes for names."""
    addresses = state.glob("*/run/io.containerd.runtime.v2.task/*/*/address")
    return {Path(address.read_text().removeprefix("unix://")) for address in addresses}


def _named() -> set[str]:
    found = {f"mount {line}" for line in Path("/proc/self/mounts").read_text().splitlines()}
    found |= {f"link {line}" for line in _lines("ip", "-details", "link", "show")}
    found |= {f"namespace {path}" for path in Path("/run/netns").glob("*")}
    for mount, _ in hierarchies():
        found |= {f"group {folder}" for folder, _, _ in os.walk(mount)}
    for process in Path("/proc").glob("[0-9]*"):
        if process.name != str(os.getpid()):
            found.add(f"process {process.name} {_command(process)}")
    for folder in _SHARED_FOLDERS:
        found |= {f"file {path} {_content(path)}" for path in Path(folder).glob("*")}
    return found


def _content(path: Path) -> str:
    """Where a link leads, or what a small file says."""
    try:
        return os.readlink(path) if path.is_symlink() else path.read_text()
    except OSError:
        return ""


def _command(process: Path) -> str:
    try:
        text = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        return f"{text} in {(process / 'cgroup').read_text()}"
    except OSError:
        return ""


def _lines(*argv: str) -> list[str]:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()
