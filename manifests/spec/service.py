# SPDX-License-Identifier: Apache-2.0
"""The ways into a pod: services, the host names and paths they are reached under, and their limits."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, Field, model_validator
from pydantic.alias_generators import to_camel

from trustedpods.manifests.spec.exposure.ingress import Ingress
from trustedpods.manifests.spec.part import STRICT, DnsLabel, HostName, Port, Spelling, not_yet
from trustedpods.manifests.spec.quantity import MiB
from trustedpods.protocol.messages.provider import ServiceProtocol

PathPrefix = Annotated[
    str,
    Spelling(
        r"(/\.?[0-9A-Za-z_~-][0-9A-Za-z._~-]{0,63}){1,8}",
        "a path as /api or /api/v1: up to 8 parts of letters, digits, `.`, `_`, `~`, `-`; no `/` at its end",
    ),
]
"""A path below a host, without a `/` at its end: `/api` stands for itself and all that follows `/api/`."""


WAKING = frozenset({"http", "tcp"})
"""Words of `expose` that go through the facade, which counts requests and holds them while a pod wakes."""

AT_NODES = frozenset({"udp", "nodePort", "loadBalancer"})
"""Words of `expose` that the cluster's nodes serve by themselves: nobody is there who could wake a pod."""

PAST_FACADE = AT_NODES | {"ingress"}
"""Words of `expose` that do not pass the facade: those of the nodes, and a controller's of the cluster."""


class ServicePart(BaseModel):
    """Base of every part of this section."""

    model_config = STRICT


class ServicePort(ServicePart):
    """A port of a service; `targetPort` is the container's, the same if not given.

    `appProtocol` as in a Kubernetes Service: `kubernetes.io/h2c` for HTTP/2 without TLS (gRPC),
    `kubernetes.io/ws` for WebSocket, which plain `http` serves too.
    """

    port: Port
    target_port: Port | None = None
    protocol: Literal["TCP", "UDP"] = "TCP"
    app_protocol: Literal["http", "kubernetes.io/ws", "kubernetes.io/h2c"] = "http"

    @property
    def target(self) -> int:
        """The container port that is meant."""
        return self.target_port or self.port


H2C = "kubernetes.io/h2c"
"""`appProtocol` of HTTP/2 without TLS, in Kubernetes' words."""


class ServiceTls(ServicePart):
    """The service's own certificate, for its own `hosts`.

    `secretName` is a secret volume of this manifest with the files `tls.crt` and `tls.key`, as in a
    Kubernetes secret of type kubernetes.io/tls.
    """

    secret_name: DnsLabel


class ServiceLimits(ServicePart):
    """What the facade lets through to a service; the provider's own maxima hold too.

    `requestsPerSecond` of all clients, `connections` at once (of http: requests), `bodySize` of one
    request, announced or not.
    """

    requests_per_second: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    connections: Annotated[int, Field(ge=1, le=100_000)] | None = None
    body_size: MiB | None = None


_NAMED = Annotated[
    str, Spelling(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", "a name of letters, digits, `_` and `-`, up to 64")
]


class SessionAffinity(ServicePart):
    """What a client is known by, of whom all requests go to one replica while that runs.

    Written `clientIP` (or `ClientIP`, as in a Kubernetes Service), `{header: NAME}` or `{cookie: NAME}`. A
    request without the header or cookie goes anywhere; who gets a cookie goes back to who set it.
    """

    client_ip: Annotated[bool, Field(alias="clientIP")] = False
    header: _NAMED | None = None
    cookie: _NAMED | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum((self.client_ip, self.header is not None, self.cookie is not None)) != 1:
            raise ValueError("write clientIP, {header: NAME} or {cookie: NAME}")
        return self

    @property
    def known_by(self) -> str:
        """As the facade is told: `ip`, `header:NAME` or `cookie:NAME`."""
        if self.header is not None:
            return f"header:{self.header}"
        return "ip" if self.client_ip else f"cookie:{self.cookie}"


def _affinity_of(written: object) -> object:
    """The forms that are a word alone; `None` is how Kubernetes spells none."""
    if written in ("clientIP", "ClientIP"):
        return {"clientIP": True}
    return None if written == "None" else written


class Service(ServicePart):
    """A named way into the pod.

    Exposed as `http` it is reached under host names, and only below `paths` where these are given; as
    `tcp` or `udp` at a port of the provider's, which `deploy` prints; as `nodePort` each of its ports at
    one of the nodes that run replicas; as `loadBalancer` at an address for it alone; as `ingress` under its
    `hosts` by a controller of the cluster's, as `ingress` says. As `none` it is for the
    publisher's own pods whose `network.egress` names this one (docs/isolation.md).
    `httpsOnly` sends http requests to https.
    """

    name: DnsLabel
    ports: Annotated[list[ServicePort], Field(min_length=1, max_length=8)]
    expose: Literal["none", "http", "tcp", "udp", "nodePort", "loadBalancer", "ingress", "tunnel"] = "none"
    hosts: Annotated[list[HostName], Field(max_length=16)] = []
    paths: Annotated[list[PathPrefix], Field(max_length=16)] = []
    tls: ServiceTls | None = None
    https_only: bool = False
    limits: ServiceLimits = ServiceLimits()
    ingress: Ingress | None = None
    session_affinity: Annotated[
        SessionAffinity | None,
        BeforeValidator(
            _affinity_of,
            json_schema_input_type=Literal["clientIP", "ClientIP", "None"] | SessionAffinity | None,
        ),
    ] = None

    @model_validator(mode="after")
    def _supported(self) -> Self:
        if self.expose not in {"none"} | WAKING | PAST_FACADE:
            raise not_yet(f"expose {self.expose}")
        if self.expose not in ("none", "nodePort", "loadBalancer") and len(self.ports) != 1:
            raise ValueError(f"a service exposed as {self.expose} has exactly one port")
        self._check_protocols()
        self._check_ingress()
        if self.limits != ServiceLimits() and self.expose in PAST_FACADE:
            raise ValueError(
                f"limits need the facade, which a service exposed as {self.expose} does not pass"
            )
        if self.known_by not in (None, "ip") and self.expose != "http":
            raise ValueError("only requests of expose: http have headers: write sessionAffinity: clientIP")
        for field in ("hosts", "paths", "tls", "https_only"):
            if getattr(self, field) and self.expose not in ("http", "ingress"):
                raise ValueError(f"{to_camel(field)} needs expose: http")
        if self.expose == "tcp" and self.ports[0].app_protocol != "http":
            raise ValueError("a service exposed as tcp has no appProtocol: its bytes are not read")
        return self

    @property
    def known_by(self) -> str | None:
        """What clients are known by, each of whom keeps its replica; None where any may get any request."""
        return None if self.session_affinity is None else self.session_affinity.known_by

    def _check_ingress(self) -> None:
        """What is written for http goes for an ingress too, or is written in another way, or has no sense."""
        if (self.expose == "ingress") != (self.ingress is not None):
            raise ValueError("`expose: ingress` and `ingress: {className: NAME}` go together")
        if self.ingress is None:
            return
        by_annotations = "is what annotations of the ingress's class are for: leave it out"
        for field in ("session_affinity", "https_only"):
            if getattr(self, field):
                raise ValueError(f"{to_camel(field)} {by_annotations}")
        if self.paths:
            raise ValueError("paths of an ingress have a kind: write `ingress: {paths: [{path: /api}]}`")
        if self.ports[0].app_protocol == H2C:
            raise ValueError("a controller speaks HTTP/1.1 to the pod: HTTP/2 without TLS needs expose: http")

    def _check_protocols(self) -> None:
        """What carries the service carries the protocol of its ports, and each port is there once."""
        asked = [(port.port, port.protocol) for port in self.ports]
        for port, protocol in asked:
            if self.expose == "udp" and protocol != "UDP":
                raise ValueError("a service exposed as udp says `protocol: UDP` at its port")
            if (self.wakes or self.expose == "ingress") and protocol != "TCP":
                raise ValueError(f"a service exposed as {self.expose} carries no UDP: write `expose: udp`")
            if asked.count((port, protocol)) > 1:
                raise ValueError(f"port {port} ({protocol}) is listed twice")
        if any(port.protocol == "UDP" and port.app_protocol != "http" for port in self.ports):
            raise ValueError("a port of UDP has no appProtocol: its bytes are not read")

    @property
    def exposed(self) -> bool:
        """Whether anybody outside the pod reaches it."""
        return self.expose != "none"

    @property
    def wakes(self) -> bool:
        """Whether a request to it wakes a pod that sleeps: only what the provider's facade serves does."""
        return self.expose in WAKING

    @property
    def protocol(self) -> ServiceProtocol:
        """What an exposed service speaks, or is reached by, as a provider is asked for it."""
        if self.expose in ("tcp", "udp", "nodePort", "loadBalancer", "ingress"):
            return self.expose
        return "h2" if self.ports[0].app_protocol == H2C else "http"
