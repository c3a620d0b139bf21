# SPDX-License-Identifier: Apache-2.0
"""A provider's profile, as far as tests of its public page need one."""

from trustedpods.protocol.messages.capabilities import Capabilities, NodeSize
from trustedpods.protocol.messages.provider import LeastTerms, Prices, Profile


def profile(**changed):
    """Of class open, with nothing beside containers."""
    has = Capabilities(
        storage_classes=[],
        default_class=False,
        ingress_classes=[],
        csi_drivers=[],
        udp=False,
        node_port=False,
        load_balancer=False,
        names=False,
        smtp=False,
        own_sleep=False,
        user_namespaces=False,
        node_labels={},
        largest_node=NodeSize(cpu_milli=1000, memory_mib=1024, storage_mib=1024),
    )
    fields = {
        "owner": b"\x11" * 20,
        "daemon": 2,
        "trust": "open",
        "simulated": False,
        "region": "eu-west",
        "domain": "k1.example.org",
        "url_suffix": "",
        "token": b"\x22" * 20,
        "prices": Prices(
            cpu_core_ms=1 << 20, memory_mib_s=1 << 19, storage_mib_s=1, egress_kib=1, ingress_kib=1, scale=64
        ),
        "least": LeastTerms(deposit=1, unlock_s=60, idle_mib=0),
        "grace_s": 60,
        "max_image_mib": 1024,
        "addresses": [],
        "capabilities": has,
    }
    return Profile(**fields | changed)
