# SPDX-License-Identifier: Apache-2.0
"""The operator's `provider.toml`: strict, so that a misspelt key is an error and not a default."""

from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from trustedpods.contracts.terms import CAP_CLAIM_INTERVAL_S
from trustedpods.protocol.limits import MAX_UNPACKED, MIB
from trustedpods.protocol.messages.base import U32
from trustedpods.protocol.messages.capabilities import MAX_LABELS, AccessMode
from trustedpods.protocol.messages.provider import LeastTerms, Prices, ServiceProtocol
from trustedpods.provider.acme.settings import TlsSection
from trustedpods.provider.cluster.objects.named_egress import ResolverPlace
from trustedpods.provider.core.egress import NOT_THE_WORLD
from trustedpods.provider.core.names.opened import MOST_TTL_S
from trustedpods.provider.core.networks.book import NODE_PORTS
from trustedpods.provider.core.placement.offered import Allowed
from trustedpods.provider.core.quotas.settings import EgressSection, PublishersSection
from trustedpods.provider.exposure.ingress_classes import IngressSection, QualifiedName
from trustedpods.provider.facade.pools import MAX_SLOTS, Pools, SlotProtocol
from trustedpods.provider.facade.slots import SlotLimits
from trustedpods.provider.market_settings import ConfiguredAddress, MarketSection
from trustedpods.provider.settings_file import read_settings


def _absolute(text: str) -> str:
    if not text.startswith("/"):
        raise ValueError("write an absolute path")
    return text


def _ipv4_address(text: str) -> str:
    return str(IPv4Address(text))


def _ipv4_network(text: str) -> str:
    return str(IPv4Network(text))


NetworkText = Annotated[str, AfterValidator(_ipv4_network)]
PathText = Annotated[str, AfterValidator(_absolute)]
TeeText = Annotated[str, Field(pattern=r"^(none|hardware|simulated:(/.+|[0-9.]{7,15}:[0-9]{1,5}))$")]
HostPort = Annotated[str, Field(pattern=r"^[0-9A-Za-z.\-\[\]:*]+:\d{1,5}$")]
AccessModes = Annotated[list[AccessMode], Field(min_length=1, max_length=4)]
StorageClassName = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
OfferedDriver = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?$", max_length=63)]
PositiveSeconds = Annotated[int, Field(ge=1, le=366 * 86400)]


class Section(BaseModel):
    """Base of every table of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class IdentitySection(Section):
    """Who the provider is: the owner's address and the daemon's number under it.

    `operator_key_file` pays gas and can neither claim nor redirect; `owner_key_file` is only read
    by `register` and `unregister` and has no place on the machine of a real provider. `tee_files`
    is a folder with what the hardware's vendor says of this machine (docs/attestation.md).
    """

    owner: ConfiguredAddress
    daemon: U32
    operator_key_file: PathText
    owner_key_file: PathText | None = None
    keys_dir: PathText
    tee: TeeText
    tee_files: PathText | None = None
    trust: Literal["sealed", "open"] = "sealed"
    region: Annotated[str, Field(max_length=64)] = ""
    domain: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=200)]
    url_suffix: Annotated[str, Field(max_length=200)] = ""


class NetSection(Section):
    """Where the daemon listens, and what it announces; `operator`: whether it takes signed verbs there."""

    listen: Annotated[list[str], Field(min_length=1, max_length=8)]
    announce: Annotated[list[str], Field(max_length=8)] = []
    operator: bool = False


class ClusterSection(Section):
    """The cluster, and the image registry on the node's loopback.

    With `overcommit` 1 a sleeping pod keeps room for one replica; 4 sells that room four times.
    `ingress_from` are the networks from which the facade reaches pods; the node's own address is
    always among them. `egress_closed` are networks that no pod may call, whatever its manifest asks:
    the nodes' own public addresses belong there; private networks are closed anyway. `traffic_socket` is
    where the network policy agent tells what pods sent past the facade; `traffic_sockets_of_nodes` are those
    of other nodes' agents. At `freezer_sockets`, one of each node, they freeze pods that sleep warm.
    With `pull_key_file` (64 hex digits) other nodes pull from the registry too, each pod's images with a
    password of their own. `storage_classes` are those that a manifest may name for its
    volumes, with what each can; the cluster's default needs no name. `node_labels` are labels and keys of
    taints by which pods may choose nodes: their values stand in the profile, for all to read. `csi_drivers`
    may mount volumes into pods. `processes_per_user` is what the container runtime hands down as its limit
    (`LimitNPROC`), which the kernel counts by user id over all pods of a node; absent: infinity. With
    `user_namespaces` every replica is made with `hostUsers: false`: outside its user ids are no other's.
    """

    kubeconfig: PathText
    registry: HostPort = "127.0.0.1:5000"
    overcommit: Annotated[float, Field(ge=1, le=100)] = 1.0
    ingress_from: Annotated[list[NetworkText], Field(max_length=16)] = []
    egress_closed: Annotated[list[NetworkText], Field(max_length=64)] = []
    traffic_socket: PathText | None = None
    traffic_sockets_of_nodes: Annotated[list[PathText], Field(max_length=64)] = []
    freezer_sockets: Annotated[list[PathText], Field(max_length=65)] = []
    pull_key_file: PathText | None = None
    processes_per_user: Annotated[int, Field(ge=1024, le=1 << 31)] | None = None
    user_namespaces: bool = False
    storage_classes: Annotated[dict[StorageClassName, AccessModes], Field(max_length=16)] = {}
    node_labels: Annotated[list[QualifiedName], Field(max_length=MAX_LABELS)] = []
    csi_drivers: Annotated[list[OfferedDriver], Field(max_length=16)] = []

    @property
    def closed_networks(self) -> tuple[str, ...]:
        """All that no pod may call."""
        return (*NOT_THE_WORLD, *self.egress_closed)


class NamesSection(Section):
    """The resolver of pods that call hosts by name. Without this table such pods are refused.

    It answers at `listen`, an IPv4 address and port of this node that pods can reach; `address` is where pods
    ask, at port 53: a Service in front of it, or `listen` itself. `upstream` are resolvers (ADDRESS or
    ADDRESS:PORT); none: this machine's. An answer is good for at least `least_ttl_s`. At `sleep_port` of the
    same address of this node pods ask for their own sleep; without it those that want to are refused.
    """

    listen: Annotated[str, Field(pattern=r"^\d{1,3}(\.\d{1,3}){3}:\d{1,5}$")]
    address: Annotated[str, AfterValidator(_ipv4_address)] | None = None
    upstream: Annotated[list[str], Field(max_length=4)] = []
    least_ttl_s: Annotated[int, Field(ge=1, le=MOST_TTL_S)] = 30
    sleep_port: Annotated[int, Field(ge=1, le=65535)] | None = None

    @model_validator(mode="after")
    def _asked_at_53(self) -> Self:
        if self.address is None and self.place.port != 53:
            raise ValueError("pods ask at port 53: listen there, or give the address of a Service")
        return self

    @property
    def place(self) -> ResolverPlace:
        """Where pods find it."""
        host, _, port = self.listen.rpartition(":")
        return ResolverPlace(self.address or host, host, int(port))


class FacadeSection(Section):
    """HAProxy's runtime socket, the activator's sockets and what a waiting request may cost.

    `slots` serve http, `h2_slots` HTTP/2 without TLS (gRPC) and `tcp_slots` plain TCP, each at a port of
    its own: the first of them is the port of `tcp_binds`, without which there are none. `tls_binds` take
    https, with the chain in `certificate_file` (see `tls-request`) or a self-made one; `https_suffix`
    follows the host in an https URL. `binds` and the files beside `map_file` (haproxy.cfg, pages) are only
    used by `facade-files`. At `exporter` Prometheus finds HAProxy's metrics; keep it on the loopback.
    `resolvers` are asked for proofs of control over publishers' own hosts; none: this machine's.

    Most that a manifest may ask for, for each service: `max_connections` at once, `max_rate` requests per
    second, `max_body_mib`. From one client address: `source_connections`, and `source_rate` requests per
    second (0: any number); and `header_s` for a request's headers to be complete, whoever they are for:
    HAProxy has no pod for a request before that.
    With `tcp` "kernel" the node's kernel carries connections of tcp services to pods of this node, where the
    network policy agent listens at `ways_socket`; "haproxy": HAProxy carries all.
    """

    runtime_socket: PathText
    activator_dir: PathText
    wake_socket: PathText
    map_file: PathText
    slots: Annotated[int, Field(ge=1, le=MAX_SLOTS)] = 256
    h2_slots: Annotated[int, Field(ge=0, le=1024)] = 64
    tcp_slots: Annotated[int, Field(ge=0, le=1024)] = 32
    wake_limit_s: PositiveSeconds = 60
    max_held: Annotated[int, Field(ge=1, le=65536)] = 256
    binds: Annotated[list[HostPort], Field(min_length=1, max_length=8)] = ["*:80"]
    tcp_binds: Annotated[list[HostPort], Field(max_length=8)] = []
    tls_binds: Annotated[list[HostPort], Field(max_length=8)] = []
    exporter: HostPort | None = None
    resolvers: Annotated[list[str], Field(max_length=4)] = []
    certificate_file: PathText | None = None
    https_suffix: Annotated[str, Field(pattern=r"^(:\d{1,5})?$")] = ""
    max_connections: Annotated[int, Field(ge=1, le=100_000)] = 4096
    max_rate: Annotated[int, Field(ge=1, le=1_000_000)] = 1_000_000
    max_body_mib: Annotated[int, Field(ge=1, le=1 << 20)] = 64 * 1024
    source_connections: Annotated[int, Field(ge=1, le=100_000)] = 1024
    source_rate: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    header_s: Annotated[int, Field(ge=1, le=60)] = 10
    tcp: Literal["haproxy", "kernel"] = "haproxy"
    ways_socket: PathText | None = None

    @model_validator(mode="after")
    def _kernel_has_an_agent(self) -> Self:
        if self.tcp == "kernel" and (self.ways_socket is None or not self.tcp_binds):
            raise ValueError(
                'tcp = "kernel" needs `ways_socket`, where the node\'s agent is, and `tcp_binds`'
            )
        return self

    def check_counted(self, traffic_socket: str | None) -> None:
        """ValueError where nobody would count what the kernel carries."""
        if self.tcp == "kernel" and traffic_socket is None:
            raise ValueError('facade.tcp = "kernel" needs the agent\'s counters: set cluster.traffic_socket')

    @property
    def pools(self) -> Pools:
        """The slots of the facade."""
        return Pools(self.slots, self.h2_slots, self.tcp_slots if self.tcp_binds else 0)

    @property
    def most(self) -> SlotLimits:
        """The most that any service may take."""
        return SlotLimits(self.max_connections, self.max_rate, self.max_body_mib * MIB)

    def tls_dir(self, keys_dir: str) -> Path:
        """Where HAProxy finds keys and certificates: with the daemon's own keys, in memory only."""
        return Path(keys_dir)

    def tcp_port(self, slot: int) -> int:
        """The port at which a slot of tcp is reached."""
        first = int(self.tcp_binds[0].rpartition(":")[2])
        return first + self.pools.slots(SlotProtocol.TCP).index(slot)


class ExposureSection(Section):
    """What pods' services may have beside the facade: ports of the nodes, given by the cluster.

    `udp` and `node_ports` say whether `expose: udp` and `expose: nodePort` are offered, `load_balancers` how
    many services may have an address by `expose: loadBalancer`, which a controller of the cluster gives them.
    `node_address` is what publishers are told, where a pod's own host does not lead to the nodes. The public
    world may call, and so may `callers`; address books may open node ports in `peers`. Both are closed else.
    `tunnel_sockets` are where each node's program listens that makes tunnels; none are offered without.
    """

    udp: bool = False
    node_ports: bool = False
    load_balancers: Annotated[int, Field(ge=0, le=10_000)] = 0
    node_address: Annotated[str, Field(pattern=r"^[0-9A-Za-z.\-]{1,253}$")] | None = None
    callers: Annotated[list[NetworkText], Field(max_length=16)] = []
    peers: Annotated[list[NetworkText], Field(max_length=16)] = []
    tunnel_sockets: Annotated[list[PathText], Field(max_length=65)] = []


class TermsSection(Section):
    """What a channel must offer, and when the daemon claims, warns, stops and removes.

    `min_claim` (base units): a batch that earns less is not sent. With `coin_price` (base units of
    the token that a whole coin of the chain, 10^18 wei, costs) gas is weighed too: a claim waits while it
    would cost more than `max_gas_percent` of what it brings; one that is half an interval overdue may
    cost all of it, and none ever costs more, except where it returns a deposit. `max_image_mib` bounds
    what a pod's images take, packed and unpacked.

    A replica must be ready within `start_limit_s`, or what its readiness probe asks for, up to `max_start_s`.
    """

    min_deposit: Annotated[int, Field(ge=0)] = 0
    unlock_s: PositiveSeconds = 3600
    grace_s: Annotated[int, Field(ge=0, le=366 * 86400)] = 86400
    idle_mib: U32 = 0
    max_image_mib: Annotated[int, Field(ge=1, le=MAX_UNPACKED // MIB)] = 20 * 1024
    claim_interval_s: PositiveSeconds = 86400
    min_claim: Annotated[int, Field(ge=0)] = 1
    coin_price: Annotated[int, Field(ge=0, lt=1 << 128)] = 0
    max_gas_percent: Annotated[int, Field(ge=1, le=100)] = 10
    warn_before_s: PositiveSeconds = 6 * 3600
    idle_after_s: Annotated[int, Field(ge=0, le=86400)] = 60
    start_limit_s: PositiveSeconds = 120
    max_start_s: PositiveSeconds = 900

    @property
    def cap_interval_s(self) -> int:
        """The claim interval that caps are held to: never a shorter one than publishers allow for."""
        return max(self.claim_interval_s, CAP_CLAIM_INTERVAL_S)


class GasSection(Section):
    """The most that the operator's key spends on gas in a UTC day, in wei (absent: any); the rest waits."""

    most_wei_per_day: Annotated[int, Field(ge=0, lt=1 << 128)] | None = None


class StoreSection(Section):
    """Where the daemon keeps its books and the sealed blobs; with `database` another node can take over."""

    path: PathText
    database: Annotated[str, Field(pattern=r"^postgresql://", max_length=1000)] | None = None
    spool: PathText
    spool_quota_mib: Annotated[int, Field(ge=1)] = 64 * 1024
    reserve_mib: Annotated[int, Field(ge=0, le=64 * 1024)] = 64
    """Set aside on the books' disk; freed when it is full, so that pods stop and claims go out."""
    min_free_mib: Annotated[int, Field(ge=0, le=1024 * 1024)] = 256
    """Below it no new pod is taken."""
    keep_days: Annotated[int, Field(ge=7, le=36500)] = 400
    """A year's bookkeeping and a month: so long what was settled stays one by one, of pods that stand what
    they were counted by, of those that ended their claims too."""


class WebhooksSection(Section):
    """Whether warnings are sent to publishers' webhooks, and whether also to addresses that are not public.

    The latter is for a localnet: elsewhere it would let publishers send requests into the operator's network.
    """

    enabled: bool = True
    allow_private: bool = False


class MetricsSection(Section):
    """Where Prometheus finds the metrics."""

    listen: HostPort = "127.0.0.1:9464"


class ProviderConfig(Section):
    """The whole file."""

    market: MarketSection
    identity: IdentitySection
    net: NetSection
    cluster: ClusterSection
    facade: FacadeSection
    names: NamesSection | None = None
    prices: Prices
    terms: TermsSection = TermsSection()
    gas: GasSection = GasSection()
    store: StoreSection
    metrics: MetricsSection | None = None
    publishers: PublishersSection = PublishersSection()
    webhooks: WebhooksSection = WebhooksSection()
    egress: EgressSection = EgressSection()
    exposure: ExposureSection = ExposureSection()
    ingress: IngressSection = IngressSection()
    tls: TlsSection = TlsSection()

    @model_validator(mode="after")
    def _sections_fit(self) -> Self:
        self.ingress.check_class(self.identity.trust)
        self.egress.check_agent(self.cluster.traffic_socket)
        self.facade.check_counted(self.cluster.traffic_socket)
        self.tls.check_place(self.identity.domain, self.facade.certificate_file, self.facade.tls_binds)
        return self

    @property
    def least(self) -> LeastTerms:
        """The least that a channel must offer, as it stands in the registry row."""
        terms = self.terms
        return LeastTerms(deposit=terms.min_deposit, unlock_s=terms.unlock_s, idle_mib=terms.idle_mib)

    @property
    def allowed(self) -> Allowed:
        """What of the cluster manifests may ask for."""
        return Allowed(
            self.cluster.storage_classes,
            tuple(self.cluster.node_labels),
            tuple(self.cluster.csi_drivers),
            {name: one.annotations for name, one in self.ingress.classes.items()},
            udp=self.exposure.udp,
            node_port=self.exposure.node_ports,
            load_balancer=self.exposure.load_balancers > 0,
            names=self.names is not None,
            smtp=self.egress.smtp,
            own_sleep=self.names is not None and self.names.sleep_port is not None,
            user_namespaces=self.cluster.user_namespaces,
        )

    @property
    def room(self) -> dict[ServiceProtocol, int]:
        """Services that may be exposed past the facade, by the manifest's word, those here included."""
        return {
            "udp": len(NODE_PORTS) if self.exposure.udp else 0,
            "nodePort": len(NODE_PORTS) if self.exposure.node_ports else 0,
            "loadBalancer": self.exposure.load_balancers,
            "ingress": self.ingress.room,
        }

    @property
    def resolver_place(self) -> ResolverPlace | None:
        """Where pods ask for names; None where nobody answers them."""
        return self.names.place if self.names else None

    @property
    def acme_dir(self) -> Path:
        """Where the account's key, orders and certificates of an authority lie: beside the store."""
        return Path(self.store.path).parent / "acme"

    @property
    def admin_socket(self) -> Path:
        """Where a running daemon takes the operator's verbs: beside its store."""
        return Path(self.store.path).parent / "operator.sock"


def load_config(path: Path) -> ProviderConfig:
    """The file of a provider. Raises as `read_settings`."""
    return read_settings(path, ProviderConfig)
