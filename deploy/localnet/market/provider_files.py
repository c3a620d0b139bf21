# SPDX-License-Identifier: Apache-2.0
"""Configuration of one provider's processes: daemon, facade and image registry. Pure."""

from ipaddress import ip_network
from pathlib import Path

from trustedpods.contracts.records import Market
from trustedpods.localnet.cluster import files as cluster_files
from trustedpods.localnet.cluster import ingress_controller
from trustedpods.localnet.cluster.addons import STORAGE_CLASS
from trustedpods.localnet.folders import shared_memory
from trustedpods.localnet.market import pricing
from trustedpods.localnet.settings import (
    BALANCERS,
    NAMES_PORT,
    SLEEP_PORT,
    TCP_PORTS,
    ZONE_LABEL,
    Cluster,
    Knobs,
    Settings,
)
from trustedpods.localnet.toml_text import toml_text
from trustedpods.manifests.spec.csi.volume import SECRETS_STORE
from trustedpods.protocol.ids import Address
from trustedpods.provider.cluster.pull_front import PullFront
from trustedpods.provider.facade.haproxy.config import Bind, FacadeConfig
from trustedpods.provider.facade.pools import Pools

POOLS = Pools(http=256, h2=64, tcp=TCP_PORTS)
IDLE_MIB = 16
MAX_HELD = 256
WAKE_LIMIT_S = 60
MAX_START_S = 900
LEAST_TTL_S = 5
"""Of an answer to a pod, short as all of a localnet's times are."""

_FIRST_DAEMON = 1


def facade_config(settings: Settings, cluster: Cluster) -> FacadeConfig:
    """HAProxy listens on the loopback of whoever called `up`, and on the node's own address."""
    outside = settings.host_namespace if cluster.embedded else None
    binds = [Bind(f"127.0.0.1:{cluster.ports.http}", outside)]
    tcp_binds = [Bind(f"127.0.0.1:{cluster.ports.tcp}", outside)] if cluster.ports.tcp else []
    tls_binds = [Bind(f"127.0.0.1:{cluster.ports.https}", outside)] if cluster.ports.https else []
    if cluster.embedded:
        binds.append(Bind(f"{cluster.node_ip}:80"))
        tls_binds += [Bind(f"{cluster.node_ip}:443")] if tls_binds else []
        tcp_binds += [Bind(f"{cluster.node_ip}:{bind.port}") for bind in tcp_binds]
    return FacadeConfig(
        binds=tuple(binds),
        pools=POOLS,
        tcp_binds=tuple(tcp_binds),
        tls_binds=tuple(tls_binds),
        tls_dir=keys_folder(settings, cluster),
        https_suffix=_https_suffix(cluster),
        exporter=Bind(f"127.0.0.1:{cluster.ports.metrics + 1}") if cluster.embedded else None,
        runtime_socket=cluster.path("facade", "runtime.sock"),
        map_file=cluster.path("facade", "hosts.map"),
        activator_dir=cluster.path("facade", "slots"),
        pages_dir=cluster.path("facade", "pages"),
    )


def keys_folder(settings: Settings, cluster: Cluster) -> Path:
    """Memory-only folder of the daemon's keys: a tmpfs of our own, or the one that everybody has."""
    if cluster.embedded:
        return cluster.path("keys")
    return shared_memory(settings.name) / cluster.name


def _https_suffix(cluster: Cluster) -> str:
    return f":{cluster.ports.https}" if cluster.ports.https else ""


def wake_socket(cluster: Cluster) -> Path:
    """Where the daemon answers the activator."""
    return cluster.path("facade", "wake.sock")


def provider_toml(
    settings: Settings, cluster: Cluster, market: Market, owner: Address, places: dict[str, Path]
) -> str:
    """The daemon's configuration.

    *places*: the files `machine`, `owner_key`, `operator_key` and `kubeconfig`, the folder `keys`.
    """
    knobs, facade = settings.knobs, facade_config(settings, cluster)
    prices = pricing.prices(knobs.decimals, cluster.price_percent)
    return toml_text(
        {
            "market": {
                "rpc": settings.rpc,
                "chain_id": market.chain_id,
                "payments": market.payments,
                "registry": market.registry,
                "token": market.token,
                "finality_blocks": market.finality_blocks,
            },
            "identity": {
                "owner": owner,
                "daemon": _FIRST_DAEMON,
                "operator_key_file": places["operator_key"],
                "owner_key_file": places["owner_key"],
                "keys_dir": places["keys"],
                "tee": f"simulated:{places['machine']}" if cluster.sealed else "none",
                "trust": "sealed" if cluster.sealed else "open",
                "region": "localnet",
                "domain": cluster.domain,
                "url_suffix": cluster.url_suffix,
            },
            "net": {"listen": [f"/ip4/{cluster.node_ip}/tcp/{cluster.ports.peer}"]},
            "cluster": _cluster_table(cluster, places["kubeconfig"]),
            "facade": {
                "runtime_socket": facade.runtime_socket,
                "activator_dir": facade.activator_dir,
                "wake_socket": wake_socket(cluster),
                "map_file": facade.map_file,
                "slots": POOLS.http,
                "h2_slots": POOLS.h2,
                "tcp_slots": POOLS.tcp,
                "tls_binds": [bind.address for bind in facade.tls_binds],
                "https_suffix": facade.https_suffix,
                "tcp_binds": [bind.address for bind in facade.tcp_binds],
                "wake_limit_s": WAKE_LIMIT_S,
                "max_held": MAX_HELD,
                **(
                    {"tcp": "kernel", "ways_socket": cluster_files.ways_socket(cluster)}
                    if knobs.kernel_tcp
                    else {}
                ),
            },
            **_names_table(cluster),
            "prices": prices.model_dump(exclude={"kind"}),
            "terms": {"min_deposit": 0, **terms_table(knobs)},
            "store": {
                "path": cluster.path("provider", "store.db"),
                "spool": cluster.path("provider", "spool"),
                "spool_quota_mib": 8192,
            },
            "webhooks": {"allow_private": True},
            "exposure": _exposure_table(settings, cluster),
            **_ingress_table(cluster),
            "metrics": {"listen": f"127.0.0.1:{cluster.ports.metrics}"},
        }
    )


def terms_table(knobs: Knobs) -> dict[str, int]:
    """The `[terms]` that a localnet's settings decide."""
    return {
        "unlock_s": knobs.unlock_s,
        "grace_s": knobs.grace_s,
        "idle_mib": IDLE_MIB,
        "claim_interval_s": knobs.claim_interval_s,
        "min_claim": pricing.min_claim(knobs.decimals),
        "warn_before_s": knobs.warn_before_s,
        "idle_after_s": knobs.idle_after_s,
    }


def _cluster_table(cluster: Cluster, kubeconfig: Path) -> dict[str, object]:
    table: dict[str, object] = {"kubeconfig": kubeconfig, "registry": cluster.registry, "overcommit": 4.0}
    if cluster.user_namespaces:
        table["user_namespaces"] = True
    if cluster.embedded:
        table["traffic_socket"] = cluster_files.traffic_socket(cluster)
        table["freezer_sockets"] = [
            str(cluster_files.freezer_socket(node)) for node in (cluster, *cluster.later_nodes)
        ]
        table["storage_classes"] = {STORAGE_CLASS: ["ReadWriteOnce", "ReadWriteOncePod"]}
        table["node_labels"] = [ZONE_LABEL]
        if cluster.secrets_store:
            table["csi_drivers"] = [SECRETS_STORE]
    if cluster.later_nodes:
        sockets = [str(cluster_files.traffic_socket(node)) for node in cluster.later_nodes]
        table["traffic_sockets_of_nodes"] = sockets
        table["pull_key_file"] = pull_key(cluster)
        table["ingress_from"] = [f"{cluster.node_ip}/32"]
    return table


def _names_table(cluster: Cluster) -> dict[str, object]:
    """The pods' resolver, behind a Service of its own, and where they ask for their own sleep.

    A caller's own cluster has neither.
    """
    if not cluster.embedded:
        return {}
    listen = f"{cluster.node_ip}:{NAMES_PORT}"
    table = {"listen": listen, "address": cluster.names_ip, "least_ttl_s": LEAST_TTL_S}
    return {"names": {**table, "sleep_port": SLEEP_PORT}}


def _exposure_table(settings: Settings, cluster: Cluster) -> dict[str, object]:
    """Node ports answer at the node's own address, and whoever called `up` may call them."""
    if not cluster.embedded:
        return {}
    return {
        "udp": True,
        "node_ports": True,
        "load_balancers": BALANCERS,
        "node_address": cluster.node_ip,
        "callers": [f"{settings.gateway}/32"],
        "tunnel_sockets": [
            str(cluster_files.tunnel_socket(node)) for node in (cluster, *cluster.later_nodes)
        ],
        "peers": [str(ip_network(f"{settings.gateway}/24", strict=False))],
    }


def _ingress_table(cluster: Cluster) -> dict[str, object]:
    """The controller of a cluster that runs one."""
    if not cluster.embedded or not cluster.ingress:
        return {}
    offered = {
        "namespace": ingress_controller.NAMESPACE,
        "pod_labels": ingress_controller.POD_LABELS,
        "annotations": list(ingress_controller.ANNOTATIONS),
    }
    return {"ingress": {"classes": {ingress_controller.CLASS: offered}}}


def pull_key(cluster: Cluster) -> Path:
    """What passwords of pulls are derived from."""
    return cluster.path("registry-pull.key")


def pull_front(cluster: Cluster) -> PullFront:
    """The registry's front for later nodes."""
    assert cluster.pull_front is not None
    files = (str(cluster.path("registry-front.pem")), str(cluster.path("pki", "ca.crt")))
    return PullFront(cluster.pull_front, *files, cluster.registry)


def registry_yaml(cluster: Cluster) -> str:
    """The image registry, on the node's loopback only."""
    return f"""version: 0.1
log:
  level: warn
  accesslog:
    disabled: true
storage:
  filesystem:
    rootdirectory: {cluster.path("registry")}
  delete:
    enabled: true
http:
  addr: {cluster.registry}
"""
