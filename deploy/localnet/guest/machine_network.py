# SPDX-License-Identifier: Apache-2.0
"""The guest's network: one card, the node's own address behind it, and what may come in.

eth0          the operator's address. In: the ports of PUBLIC, and answers. Pods leave under it.
svc (bridge)  the node's address and the services': nothing of it is reached from the card
lo            API server, etcd, kubelet, registry
"""

from ipaddress import IPv4Address
from pathlib import Path

from trustedpods.localnet.commands import run, succeeds
from trustedpods.localnet.guest.configuration import NetworkSection
from trustedpods.localnet.settings import Cluster

CARD = "eth0"
PEER_PORT = 4001
PUBLIC = (80, 443, PEER_PORT)
"""The facade's http and https, and libp2p."""

_RESOLVER = Path("/run/resolv.conf")
_FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
_NO_IPV6 = Path("/proc/sys/net/ipv6/conf/all/disable_ipv6")
"""The host could give the card an address by a router's word, past the rules of IPv4."""


def nft_commands(cluster: Cluster, signer: IPv4Address | None) -> str:
    """Commands of nft, in a table of our own. The card's packets to any other port or address end here.

    So do those of pods to the *signer*, which would sign for them what only the daemon may have signed.
    """
    table, ports = "ip trustedpods_card", ", ".join(str(port) for port in PUBLIC)
    refused = [] if signer is None else [f"add rule {table} through ip daddr {signer} drop"]
    return "; ".join(
        [
            f"add table {table}",
            f"flush table {table}",
            f"add chain {table} in {{ type filter hook input priority -10 ; }}",
            f"add rule {table} in iifname {CARD} ct state established,related accept",
            f"add rule {table} in iifname {CARD} fib daddr . iif type local tcp dport {{ {ports} }} accept",
            f"add rule {table} in iifname {CARD} drop",
            f"add chain {table} through {{ type filter hook forward priority -10 ; }}",
            *refused,
            f"add rule {table} through iifname {CARD} ct state established,related accept",
            f"add rule {table} through iifname {CARD} drop",
            f"add chain {table} out {{ type nat hook postrouting priority srcnat ; }}",
            f"add rule {table} out ip saddr {cluster.pod_network} oifname {CARD} masquerade",
        ]
    )


def make(cluster: Cluster, network: NetworkSection, signer: IPv4Address | None) -> None:
    """All of it; the card is opened last, when what may come in by it is settled. May be called again."""
    if _NO_IPV6.exists():
        _NO_IPV6.write_text("1")
    run(["ip", "link", "set", "lo", "up"])
    if not succeeds(["ip", "link", "show", "svc"]):
        run(["ip", "link", "add", "svc", "type", "bridge"])
    run(["ip", "address", "replace", f"{cluster.node_ip}/32", "dev", "svc"])
    run(["ip", "link", "set", "svc", "up"])
    run(["ip", "route", "replace", cluster.service_network, "dev", "svc"])
    run(["nft", nft_commands(cluster, signer)])
    _FORWARDING.write_text("1")
    # a daemon without any resolver does not even start: libp2p makes one while it is imported
    _RESOLVER.write_text(f"nameserver {network.nameserver}\n")
    run(["ip", "address", "replace", network.address, "dev", CARD])
    run(["ip", "link", "set", CARD, "up"])
    run(["ip", "route", "replace", "default", "via", network.gateway, "dev", CARD])
