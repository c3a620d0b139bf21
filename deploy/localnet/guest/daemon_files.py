# SPDX-License-Identifier: Apache-2.0
"""The daemon's and the facade's settings in the guest: the image's, and the operator's among them. Pure."""

from pathlib import Path

from trustedpods.localnet.cluster import files as cluster_files
from trustedpods.localnet.cluster.addons import STORAGE_CLASS
from trustedpods.localnet.guest.configuration import GuestConfiguration
from trustedpods.localnet.guest.machine_network import PEER_PORT
from trustedpods.localnet.market.provider_files import MAX_HELD, POOLS, WAKE_LIMIT_S, wake_socket
from trustedpods.localnet.settings import NAMES_PORT, SLEEP_PORT, ZONE_LABEL, Cluster
from trustedpods.localnet.toml_text import toml_text
from trustedpods.provider.facade.haproxy.config import Bind, FacadeConfig
from trustedpods.provider.facade.pools import Pools

GUEST_POOLS = Pools(http=POOLS.http, h2=POOLS.h2, tcp=0)
"""No plain TCP: each such service would be another port of the card."""


def operator_key(cluster: Cluster) -> Path:
    """Where the operator's key lies: in memory, with the daemon's."""
    return cluster.path("keys", "operator.key")


def facade_config(cluster: Cluster, card_address: str) -> FacadeConfig:
    """HAProxy listens at the card's own address, and at the node's for what pods call."""
    return FacadeConfig(
        binds=(Bind(f"{card_address}:80"), Bind(f"{cluster.node_ip}:80")),
        tls_binds=(Bind(f"{card_address}:443"), Bind(f"{cluster.node_ip}:443")),
        pools=GUEST_POOLS,
        tls_dir=cluster.path("keys"),
        runtime_socket=cluster.path("facade", "runtime.sock"),
        map_file=cluster.path("facade", "hosts.map"),
        activator_dir=cluster.path("facade", "slots"),
        pages_dir=cluster.path("facade", "pages"),
    )


def provider_toml(cluster: Cluster, configuration: GuestConfiguration) -> str:
    """The daemon's configuration."""
    operator, facade = configuration.operator, facade_config(cluster, card_address(configuration))
    identity = {
        **operator.model_dump(include={"owner", "daemon", "tee", "trust", "region", "domain", "url_suffix"}),
        "operator_key_file": operator_key(cluster),
        "keys_dir": cluster.path("keys"),
    }
    peer = f"/ip4/{card_address(configuration)}/tcp/{PEER_PORT}"
    table: dict[str, object] = {
        "market": configuration.market.model_dump(exclude_none=True),
        "identity": identity,
        "net": {"listen": [peer], "announce": list(operator.announce), "operator": True},
        "cluster": {
            "kubeconfig": cluster.path("pki", "provider.conf"),
            "registry": cluster.registry,
            "traffic_socket": cluster_files.traffic_socket(cluster),
            "freezer_sockets": [str(cluster_files.freezer_socket(cluster))],
            "storage_classes": {STORAGE_CLASS: ["ReadWriteOnce", "ReadWriteOncePod"]},
            "node_labels": [ZONE_LABEL],
            "user_namespaces": True,
        },
        "facade": {
            "runtime_socket": facade.runtime_socket,
            "activator_dir": facade.activator_dir,
            "wake_socket": wake_socket(cluster),
            "map_file": facade.map_file,
            "slots": GUEST_POOLS.http,
            "h2_slots": GUEST_POOLS.h2,
            "tcp_slots": GUEST_POOLS.tcp,
            "tls_binds": [bind.address for bind in facade.tls_binds],
            "wake_limit_s": WAKE_LIMIT_S,
            "max_held": MAX_HELD,
        },
        "names": {
            "listen": f"{cluster.node_ip}:{NAMES_PORT}",
            "address": cluster.names_ip,
            "sleep_port": SLEEP_PORT,
        },
        "prices": configuration.prices.model_dump(exclude={"kind"}),
        "terms": configuration.terms.model_dump(),
        "store": {"path": cluster.path("provider", "store.db"), "spool": cluster.path("provider", "spool")},
        "metrics": {"listen": f"127.0.0.1:{cluster.ports.metrics}"},
    }
    return toml_text(table)


def card_address(configuration: GuestConfiguration) -> str:
    """The address alone, without the length of its network."""
    return configuration.network.address.partition("/")[0]
