# SPDX-License-Identifier: Apache-2.0
"""Whom a pod may call. The words are those of a Kubernetes NetworkPolicyEgressRule.

Nothing is open that is not asked for here, and a provider never opens its own networks: what lies in
them is cut out of a wider `cidr`, or the manifest is refused (docs/isolation.md).
"""

from ipaddress import IPv4Network
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, field_validator, model_validator

from trustedpods.manifests.spec.exposure.tunnel import Tunnel
from trustedpods.manifests.spec.part import STRICT, DnsLabel, Spelling, not_yet
from trustedpods.protocol.limits import MAX_CALLED_NODES, SMTP_PORTS

MAX_RULES = 16
MAX_PEERS = 32
MAX_EXCEPTS = 32
MAX_PORTS = 32
"""A page of rules. Each peer of each rule is a line for each of its ports in the node's kernel."""

PortNumber = Annotated[int, Field(ge=1, le=65535)]

OutsideHost = Annotated[
    str,
    Spelling(
        r"(?=.{4,253}$)([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.)+[a-z]([-a-z0-9]{0,61}[a-z0-9])?",
        "a whole host name in lower-case letters, like api.example.org, without a wildcard, scheme or port",
    ),
]
"""A name of the outside world (RFC 1123). Its last label begins with a letter, so no address is one."""

NodeName = Annotated[
    str,
    Spelling(
        r"[a-z](?:[-a-z0-9]{0,48}[a-z0-9])?",
        "lower-case letters, digits and `-`, a letter first, `-` not last, at most 50 of them",
    ),
]
"""A node of the pod's network, as the network's manifest names it."""

OWN_PODS = "internal"
"""The last label of the names of one's own pods, kept for such use by ICANN: no name outside ends with it."""


def _network(text: str) -> IPv4Network:
    """An IPv4 network as it must be written; ValueError says what is wrong with it."""
    if ":" in text:
        raise not_yet(f"{text}: IPv6")
    try:
        return IPv4Network(text)
    except ValueError as wrong:
        raise ValueError(f"{text} is not an IPv4 network: {wrong}") from None


class EgressPart(BaseModel):
    """Base of every part of this section."""

    model_config = STRICT


class IpBlock(EgressPart):
    """Addresses `cidr`, without those of `except`, both in the one form that the API server takes.

    As in Kubernetes an exception is smaller than what it is cut out of.
    """

    cidr: str
    except_: Annotated[list[str], Field(max_length=MAX_EXCEPTS, alias="except")] = []

    @field_validator("cidr")
    @classmethod
    def _is_network(cls, text: str) -> str:
        return str(_network(text))

    @field_validator("except_")
    @classmethod
    def _are_networks(cls, texts: list[str]) -> list[str]:
        return [str(_network(text)) for text in texts]

    @model_validator(mode="after")
    def _inside(self) -> Self:
        for text in self.except_:
            if IPv4Network(text) == self.network:
                raise ValueError(f"except {text} takes away all of {self.cidr}")
            if not IPv4Network(text).subnet_of(self.network):
                raise ValueError(f"except {text} is not inside {self.cidr}")
        return self

    @property
    def network(self) -> IPv4Network:
        """`cidr`, to be counted with."""
        return IPv4Network(self.cidr)


class EgressPeer(EgressPart):
    """Somebody to call: a block of addresses, what a host's name means at the time of the call, or a pod.

    Kubernetes has no `host`; the provider's resolver opens what it answers (docs/isolation.md). `pod` is the
    name of a pod of the same publisher at the same provider, or of this very pod, whose replicas then call
    each other: its services without `expose` are what is called. Other people's pods are nobody's to choose.
    """

    ip_block: IpBlock | None = None
    host: OutsideHost | None = None
    pod: DnsLabel | None = None
    pod_selector: dict[str, object] | None = None
    namespace_selector: dict[str, object] | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        for field, name in (("pod_selector", "podSelector"), ("namespace_selector", "namespaceSelector")):
            if getattr(self, field) is not None:
                raise not_yet(f"{name} in egress")
        given = [one for one in (self.ip_block, self.host, self.pod) if one is not None]
        if not given:
            raise ValueError("give an ipBlock, a host or a pod")
        if len(given) > 1:
            raise ValueError("give one of ipBlock, host and pod: each is an entry of its own")
        if self.host is not None and self.host.endswith(f".{OWN_PODS}"):
            raise ValueError(f"names under {OWN_PODS} are those of your own pods: write `pod: NAME`")
        return self

    @property
    def block(self) -> IpBlock:
        """The addresses, of a peer that is neither host nor pod."""
        assert self.ip_block is not None
        return self.ip_block


class EgressPort(EgressPart):
    """A port, or all from `port` to `endPort`; of the protocol all ports where none is given."""

    protocol: Literal["TCP", "UDP", "SCTP"] = "TCP"
    port: PortNumber | None = None
    end_port: PortNumber | None = None

    @model_validator(mode="after")
    def _range(self) -> Self:
        if self.end_port is not None and (self.port is None or self.end_port < self.port):
            raise ValueError("endPort needs a port that is not above it")
        return self

    @property
    def is_smtp(self) -> bool:
        """Whether it is one of the ports of mail, and no other: a range that has them asks for the rest."""
        alone = self.end_port in (None, self.port)
        return self.protocol == "TCP" and self.port in SMTP_PORTS and alone


class EgressRule(EgressPart):
    """Each of `to` may be called on each of `ports`; on all ports where none is given.

    Unlike in Kubernetes `to` cannot be left out: who means the whole world says 0.0.0.0/0.
    """

    to: Annotated[list[EgressPeer], Field(min_length=1, max_length=MAX_PEERS)]
    ports: Annotated[list[EgressPort], Field(max_length=MAX_PORTS)] = []


class Network(EgressPart):
    """What of the network the pod asks for. Without it the pod can answer, and call nobody.

    `nodes` are those of its network of pods that it calls, under the names NODE.NETWORK.internal: of them
    exactly the exposed ports are open to it (docs/address-book.md). `linkedNodes` are up to so many more, of
    other owners: whoever is linked to the network, without being named here. `tunnel` is an encrypted link to
    the `nodes`.
    """

    egress: Annotated[list[EgressRule], Field(max_length=MAX_RULES)] = []
    nodes: Annotated[list[NodeName], Field(max_length=MAX_CALLED_NODES)] = []
    linked_nodes: Annotated[int, Field(ge=0, le=MAX_CALLED_NODES)] = 0
    tunnel: Tunnel | None = None

    @property
    def calls(self) -> int:
        """How many nodes are called at most."""
        return len(self.nodes) + self.linked_nodes

    @property
    def smtp_ports(self) -> list[int]:
        """The ports of mail that are named, of addresses or hosts: not every provider opens those."""
        return [
            port.port
            for rule in self.egress
            if any(peer.pod is None for peer in rule.to)
            for port in rule.ports
            if port.port is not None and port.is_smtp
        ]

    @property
    def smtp(self) -> bool:
        """Whether the pod asks to send mail."""
        return bool(self.smtp_ports)

    @property
    def by_name(self) -> bool:
        """Whether some of it is a name, of a host, a pod or a node: somebody must answer for it."""
        return self.calls > 0 or any(peer.ip_block is None for rule in self.egress for peer in rule.to)
