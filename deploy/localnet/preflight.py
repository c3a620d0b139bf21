# SPDX-License-Identifier: Apache-2.0
"""What this machine must have, asked before anything is touched."""

import os
import platform
import shutil

from trustedpods.localnet.cluster import binaries
from trustedpods.localnet.cluster import files as cluster_files
from trustedpods.localnet.processes import cgroups
from trustedpods.protocol.errors import NoContext, Refused, TrustedPodsError

_TOOLS = ("haproxy", "docker-registry", "setsid")
_EMULATION_TOOLS = ("qemu-system-x86_64", "setsid")
_CLUSTER_TOOLS = (
    "containerd", "containerd-shim-runc-v2", "ctr", "runc", "ip", "iptables", "nft", "nsenter", "unshare",
    "mount", "umount", "sysctl", "busybox",
)  # fmt: skip

_OTHER_WAY = "without root, or on another system: trustedpods-localnet up --existing KUBECONFIG"


def check(*, embedded: bool, emulated: bool = False) -> None:
    """Raise Refused or NoContext that names everything that is missing."""
    if embedded:
        _check_system()
    tools = _EMULATION_TOOLS if emulated else _TOOLS
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if embedded:
        missing += [tool for tool in _CLUSTER_TOOLS if shutil.which(tool) is None]
        if not (cluster_files.CNI_PLUGINS / "ptp").exists():
            missing.append("containernetworking-plugins")
        built = [binaries.kube(), binaries.netpol(), binaries.netpol_cni(), binaries.provisioner()]
        built += [binaries.secrets_store(), binaries.traefik()]
        built += map(binaries.image, binaries.NODE_IMAGES)
        missing += [str(path) for path in built if not path.exists()]
    try:
        binaries.anvil()
    except TrustedPodsError as error:
        missing.append(error.what)
    if missing:
        raise NoContext(
            f"missing: {', '.join(missing)}", hint="run `make guest`" if emulated else "run `make setup`"
        )


def _check_system() -> None:
    if platform.system() != "Linux":
        raise Refused("an embedded cluster needs Linux", rule="system", hint=_OTHER_WAY)
    if os.geteuid() != 0:
        raise Refused("an embedded cluster needs root", rule="root", hint=_OTHER_WAY)
    found = cgroups.hierarchies()
    if not found:
        raise Refused("no control groups are mounted at /sys/fs/cgroup", rule="cgroups", hint=_OTHER_WAY)
    if not any(os.access(mount, os.W_OK) for mount, _ in found):
        raise Refused("the control groups are read-only here", rule="cgroups", hint=_OTHER_WAY)
