# SPDX-License-Identifier: Apache-2.0
"""The network of a localnet: one host bridge, and a network namespace per node.

    host           tpX (bridge)  10.X.0.1/24   the chain listens here; 10.X.0.0/16 leads nowhere else
    cluster c      eth0          10.X.0.(10+c) no default route: nothing leaves the localnet
    its node n     eth0          10.X.0.(10n+c), with a route to the pods of each other node of its cluster
                   svc (bridge)  services; an address that nobody serves ends here
                   10.X.(48+c).0/28, its load balancers', is routed there by the host

The host's firewall and forwarding are not touched. The bridge carries the localnet's name as its
alias, so `down` finds it without any file.
"""

import contextlib
import ctypes
import json
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

from trustedpods.localnet.commands import run, succeeds
from trustedpods.localnet.settings import Cluster, ClusterNode, Settings
from trustedpods.protocol.errors import TrustedPodsError

NAMESPACES = Path("/run/netns")
_SHARED_BY_US = Path("/run/trustedpods-netns")
"""Says that the mount at /run/netns is ours to remove with the last localnet."""

_OF_A_LOCALNET = re.compile(r"host|k\d+(n\d+)?")
"""What follows a localnet's name in the names of its namespaces; a localnet may be called `market-k1`."""

_CLONE_NEWNET = 0x40000000


def alias_of(name: str) -> str:
    """What the links of a localnet carry as their alias."""
    return f"trustedpods localnet {name}"


def claim_bridge(name: str, octet: int) -> bool:
    """Make the bridge tpX if its addresses are free; the kernel lets only one caller win."""
    if f" 10.{octet}." in run(["ip", "-4", "route", "show", "table", "all"]).replace("/", " "):
        return False
    if not succeeds(["ip", "link", "add", f"tp{octet}", "type", "bridge"]):
        return False
    run(["ip", "link", "set", f"tp{octet}", "alias", alias_of(name)])
    return True


def links_of(name: str) -> list[str]:
    """Names of the host's links that belong to the localnet."""
    links = json.loads(run(["ip", "-json", "link", "show"]))
    return [link["ifname"] for link in links if link.get("ifalias") == alias_of(name)]


_NAT_TABLE = "trustedpods_nat"
"""A table of our own: kube-proxy keeps to its own."""


def make_host_side(settings: Settings) -> None:
    """The bridge with its address and routes; may be called again."""
    bridge, gateway = settings.bridge, settings.gateway
    if bridge not in links_of(settings.name) and not claim_bridge(settings.name, settings.octet):
        raise TrustedPodsError(
            f"the addresses {settings.network} are used by somebody else now",
            hint=f"trustedpods-localnet down --name {settings.name}, then up again",
        )
    run(["ip", "address", "replace", f"{gateway}/24", "dev", bridge])
    run(["ip", "link", "set", bridge, "up"])
    run(["ip", "route", "replace", "blackhole", settings.network])
    pin_namespace(settings.host_namespace, Path("/proc/self/ns/net"))


def make_node_side(settings: Settings, cluster: Cluster, node: ClusterNode) -> None:
    """The node's network namespace, joined to the bridge and to its cluster's others; may be called again."""
    name = node.namespace
    assert name is not None
    pin_namespace(name, None)
    inside = ["ip", "-n", name]
    if not succeeds([*inside, "link", "show", "eth0"]):
        peer = ["peer", "name", "eth0", "netns", name]
        run(["ip", "link", "add", node.veth, "type", "veth", *peer])
    run(["ip", "link", "set", node.veth, "alias", alias_of(settings.name)])
    run(["ip", "link", "set", node.veth, "master", settings.bridge, "up"])
    if not succeeds([*inside, "link", "show", "svc"]):
        run([*inside, "link", "add", "svc", "type", "bridge"])
    run([*inside, "address", "replace", f"{node.node_ip}/24", "dev", "eth0"])
    for link in ("lo", "eth0", "svc"):
        run([*inside, "link", "set", link, "up"])
    run([*inside, "route", "replace", node.service_network, "dev", "svc"])
    for other in cluster.nodes:
        if other.number != node.number:
            run([*inside, "route", "replace", other.pod_network, "via", other.node_ip, "dev", "eth0"])
    if node.number == cluster.number:
        pool = cluster.balancer_network
        run(["ip", "route", "replace", pool, "via", node.node_ip, "dev", settings.bridge, "onlink"])
    run([*enter(name), "sysctl", "-qw", "net.ipv4.ip_forward=1"])
    run([*enter(name), "nft", _as_their_node(settings, cluster, node)])


def _as_their_node(settings: Settings, cluster: Cluster, node: ClusterNode) -> str:
    """Commands of nft: what pods send to other clusters' nodes leaves under their own node's address.

    Nobody else has a way back to a pod. Whether they may is for their policies, which are judged before.
    """
    known = ", ".join([settings.gateway, *(one.node_ip for one in cluster.nodes)])
    table = f"ip {_NAT_TABLE}"
    return (
        f"add table {table}; "
        f"add chain {table} out {{ type nat hook postrouting priority srcnat ; }}; "
        f"flush chain {table} out; "
        f"add rule {table} out ip saddr {node.pod_network} ip daddr {settings.gateway}/24 "
        f"ip daddr != {{ {known} }} oifname eth0 masquerade"
    )


def enter(namespace: str | None) -> list[str]:
    """Prefix of a command that runs in the namespace.

    Not `ip netns exec`: that mounts a new /sys, which hides the control groups.
    """
    return ["nsenter", f"--net={NAMESPACES / namespace}", "--"] if namespace else []


def pin_namespace(name: str, source: Path | None) -> None:
    """Give the network namespace *source* (none: a new one) a name; may be called again."""
    path = NAMESPACES / name
    if is_pinned(name):
        return
    _share_folder()
    path.touch(mode=0o600)
    if source is None:
        run(["unshare", f"--net={path}", "true"])
    else:
        run(["mount", "--bind", source, path])


def _share_folder() -> None:
    """Make /run/netns a mount of its own, as `ip netns` does.

    If `ip netns` did it after us, it would hide the names that are there already for ever.
    """
    NAMESPACES.mkdir(parents=True, exist_ok=True)
    if not NAMESPACES.is_mount() and not succeeds(["mountpoint", "-q", NAMESPACES]):
        run(["mount", "--bind", "--make-shared", NAMESPACES, NAMESPACES])
        _SHARED_BY_US.parent.mkdir(parents=True, exist_ok=True)
        _SHARED_BY_US.touch()


def is_pinned(name: str) -> bool:
    """Whether a network namespace of this name is there."""
    path = NAMESPACES / name
    return path.exists() and path.stat().st_dev != NAMESPACES.stat().st_dev


def remove(name: str) -> None:
    """Remove links, routes and namespaces of the localnet; what is not there does not matter."""
    for link in links_of(name):
        octet = link.removeprefix("tp")
        if octet.isdigit():
            succeeds(["ip", "route", "del", "blackhole", f"10.{octet}.0.0/16"])
        succeeds(["ip", "link", "del", link])
    for path in NAMESPACES.glob(f"tp-{name}-*"):
        if _OF_A_LOCALNET.fullmatch(path.name.removeprefix(f"tp-{name}-")):
            succeeds(["umount", "--lazy", path])
            path.unlink(missing_ok=True)
    if _SHARED_BY_US.exists() and not any(NAMESPACES.iterdir()) and succeeds(["umount", NAMESPACES]):
        _SHARED_BY_US.unlink()


def connect(namespace: str | None, host: str, port: int, timeout: float = 1.0) -> socket.socket:
    """A TCP connection made from inside the namespace; OSError as from any connect.

    A socket stays in the namespace it was made in, so only this thread goes there, and back.
    """
    if namespace is None:
        return socket.create_connection((host, port), timeout=timeout)
    with entered(NAMESPACES / namespace):
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        made.settimeout(timeout)
        made.connect((host, port))
    except OSError:
        made.close()
        raise
    return made


@contextlib.contextmanager
def entered(namespace: Path) -> Iterator[None]:
    """This thread, and no other, is in the network namespace while the block runs."""
    with open("/proc/thread-self/ns/net") as own, open(namespace) as target:
        _set_namespace(target.fileno())
        try:
            yield
        finally:
            _set_namespace(own.fileno())


def _set_namespace(descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"setns: {os.strerror(number)}")
