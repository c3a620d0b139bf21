# SPDX-License-Identifier: Apache-2.0
"""What one localnet is: its name, addresses, ports and folders. Fixed when it is made.

Pure: the values are chosen in `allocate.py` and everything else is derived from them here.
"""

import hashlib
import re
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from trustedpods.protocol.errors import BadInput

BALANCERS = 16
"""Addresses of a cluster's pool for load balancers, 10.X.(48+c).0/28."""

MAX_CLUSTERS = 8
"""Pod networks are 10.X.(16+c).0/24. Service networks are 10.X.(64+16c).0/20: one address a service."""

MAX_NODES = 7
"""Of one cluster. Its n-th is at 10.X.0.(10n+c); from the second on its pods are in 10.X.(191+8n+c).0/24."""

PULL_PORT = 5443
"""Of the first node's own address: where other nodes pull images."""

TCP_PORTS = 16
"""Services of plain TCP that one cluster can publish at once."""

NAMES_PORT = 5354
"""Where on a node of its own the daemon answers pods' questions for names: CoreDNS has port 53."""

SLEEP_PORT = 5355
"""Where on the same address it hears pods that ask for their own sleep."""

LOOPBACK = "127.0.0.1"
"""Where API server and kubelet listen in a machine that has one cluster alone."""

ZONE_LABEL = "topology.kubernetes.io/zone"
"""Of each node, with its name for a value: every node is a zone of its own, and pods may choose one."""

_NAME = re.compile(r"[a-z][a-z0-9-]{0,22}[a-z0-9]|[a-z]")
_CHAIN_ID_BASE = 7_700_000_000


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Knobs(_Frozen):
    """What tests turn; the defaults are a localnet's (DESIGN section 12). Times in seconds."""

    decimals: Literal[6, 18] = 18
    claim_interval_s: int = Field(default=10, ge=1)
    unlock_s: int = Field(default=60, ge=60, multiple_of=60)
    grace_s: int = Field(default=60, ge=1)
    warn_before_s: int = Field(default=30, ge=0)
    idle_after_s: int = Field(default=5, ge=1)
    provider: bool = True
    """Without providers it is a chain and clusters, for whoever brings a daemon of his own."""
    secrets_store: bool = False
    """Whether nodes run the stand-in for the secrets store's CSI driver, and pods may use it."""
    ingress: bool = False
    """Whether each cluster runs an ingress controller. It reads Secrets, so providers are of class open."""
    kernel_tcp: bool = False
    """Whether the nodes' kernels carry connections of tcp services at the node's own address."""
    user_namespaces: bool = False
    """Whether pods have user ids of their own: nodes run our container runtime, providers ask for it."""
    price_step_percent: int = Field(default=50, ge=0)
    """How much dearer each cluster is than the one before it."""


class Ports(_Frozen):
    """Ports that are chosen once, because the caller's loopback is shared with others."""

    chain: int
    """anvil."""
    http: int
    """Where the facade is published on the caller's loopback."""
    registry: int
    metrics: int
    peer: int
    """libp2p."""
    tcp: int = 0
    """First of `TCP_PORTS` ports of the caller's loopback for pods' services of tcp; 0 is none."""
    https: int = 0
    """Where the facade takes TLS on the caller's loopback; 0 is nowhere."""


class ClusterSettings(_Frozen):
    """One cluster as it is stored; `Cluster` has what follows from it."""

    index: int = Field(ge=1, le=MAX_CLUSTERS)
    ports: Ports


class Settings(_Frozen):
    """Everything chosen for one localnet, kept in `localnet.json`."""

    version: Literal[1] = 1
    name: str
    state: Path
    octet: int = Field(ge=0, le=255)
    """The X of 10.X.0.0/16; 0 when there is no embedded cluster and so no network of our own."""
    clusters: tuple[ClusterSettings, ...]
    kubeconfig: Path | None = None
    """Of the caller's own cluster; none: an embedded one is made."""
    guest: Path | None = None
    """Folder of a machine image: the one provider runs in an emulated machine of it."""
    knobs: Knobs = Knobs()
    nodes: int = Field(default=1, ge=1, le=MAX_NODES)
    """Of each embedded cluster."""
    alone: bool = False
    """The one cluster has the machine to itself: no namespace, and Kubernetes listens on the loopback."""

    @property
    def chain_id(self) -> int:
        """Different for every name, so that no signature is good on two localnets."""
        digest = hashlib.sha256(b"trusted-pods/localnet-chain\0" + self.name.encode()).digest()
        return _CHAIN_ID_BASE + int.from_bytes(digest[:4], "big")

    @property
    def gateway(self) -> str:
        """The address at which the chain listens: the bridge, or the caller's loopback."""
        return f"10.{self.octet}.0.1" if self.octet else "127.0.0.1"

    @property
    def network(self) -> str:
        """All addresses of this localnet."""
        return f"10.{self.octet}.0.0/16"

    @property
    def bridge(self) -> str:
        """The host's bridge that joins the nodes."""
        return f"tp{self.octet}"

    @property
    def rpc(self) -> str:
        """URL of the chain's node."""
        return f"http://{self.gateway}:{self.clusters[0].ports.chain}"

    @property
    def host_namespace(self) -> str:
        """Name under which HAProxy finds the network namespace of whoever called `up`."""
        return f"tp-{self.name}-host"

    def all_clusters(self) -> list["Cluster"]:
        """The clusters with everything that follows from their number."""
        return [Cluster(self, part) for part in self.clusters]


class ClusterNode:
    """One node of a cluster: names, addresses and folders. The services' addresses are the cluster's."""

    def __init__(self, settings: Settings, cluster: int, number: int) -> None:
        """The *number*-th node, from 1, of the cluster of that index."""
        octet, later = settings.octet, number > 1
        self.number = number
        self.name = f"k{cluster}n{number}" if later else f"k{cluster}"
        self.directory = settings.state / self.name
        self.embedded = settings.kubeconfig is None and settings.guest is None
        self.namespace = f"tp-{settings.name}-{self.name}" if self.embedded and not settings.alone else None
        self.network_name = self.namespace or f"tp-{settings.name}-{self.name}"
        self.veth = f"tp{octet}{self.name}"
        self.node_ip = f"10.{octet}.0.{10 * number + cluster}" if self.embedded else "127.0.0.1"
        self.alone = settings.alone
        self.serving_ip = LOOPBACK if settings.alone else self.node_ip
        self.pod_network = f"10.{octet}.{(191 + 8 * number if later else 16) + cluster}.0/24"
        self.user_namespaces = settings.knobs.user_namespaces
        self.service_network = f"10.{octet}.{64 + 16 * cluster}.0/20"
        self.dns_ip = f"10.{octet}.{64 + 16 * cluster}.10"
        self.names_ip = f"10.{octet}.{64 + 16 * cluster}.11"

    def path(self, *parts: str) -> Path:
        """A file of this node; of the first one, also of the cluster."""
        return self.directory.joinpath(*parts)


class Cluster(ClusterNode):
    """One cluster of a localnet. Its first node is the one that its control plane and its provider run on."""

    def __init__(self, settings: Settings, part: ClusterSettings) -> None:
        octet, index = settings.octet, part.index
        super().__init__(settings, index, 1)
        self.index = index
        self.ports = part.ports
        self.domain = f"{self.name}.{settings.name}.localhost"
        self.balancer_network = f"10.{octet}.{48 + index}.0/28"
        self.api_service_ip = f"10.{octet}.{64 + 16 * index}.1"
        self.api_server = f"https://{self.serving_ip}:6443"
        self.later_nodes = [ClusterNode(settings, index, number) for number in range(2, settings.nodes + 1)]
        self.secrets_store = settings.knobs.secrets_store
        self.ingress = settings.knobs.ingress
        self.sealed = self.embedded and not self.ingress
        self.price_percent = 100 + settings.knobs.price_step_percent * (index - 1)

    @property
    def url_suffix(self) -> str:
        """What follows a pod's host name in its URL."""
        return f":{self.ports.http}"

    @property
    def registry(self) -> str:
        """The provider's image registry, as its node sees it."""
        return f"127.0.0.1:{self.ports.registry}"

    @property
    def pull_front(self) -> str | None:
        """Where later nodes pull from the registry, by TLS; a cluster of one node has no such place."""
        return f"{self.node_ip}:{PULL_PORT}" if self.later_nodes else None

    @property
    def nodes(self) -> list[ClusterNode]:
        """All nodes, the first one first."""
        return [self, *self.later_nodes]


def check_name(name: str) -> str:
    """The name, if it can be part of a host name and of a network namespace."""
    if not _NAME.fullmatch(name):
        raise BadInput(
            f"not a name for a localnet: {name!r}",
            hint="up to 24 lower-case letters, digits and hyphens, a letter first",
        )
    return name
