# SPDX-License-Identifier: Apache-2.0
"""Answers of the verbs on networks of pods."""

from typing import Literal, NotRequired, TypedDict

from trustedpods.publisher.core.networks.plan import Doing
from trustedpods.publisher.core.networks.planning.outlook import Effect, IdentityState
from trustedpods.publisher.output.answers.money import FundJson
from trustedpods.publisher.output.answers.parts import ErrorJson, IdentityJson
from trustedpods.publisher.output.answers.pods import LogsJson, StatusJson
from trustedpods.publisher.output.answers.rounds import BackupJson
from trustedpods.publisher.output.answers.words import Tokens


class UnknownJson(TypedDict):
    """Why nobody could tell."""

    error: ErrorJson


class NetworkJson(TypedDict):
    """A network, by its name and by the address that founded it."""

    network: str
    founder: str


class NodeJson(TypedDict):
    """A node as the network's document has it, and as its provider tells (`live`), where it was asked."""

    cluster: str
    phase: str
    publisher: str
    pod: str
    url: str | None
    sound: bool
    live: StatusJson | UnknownJson | None


class OwnerJson(TypedDict):
    """Another owner that this network is linked with, and the addresses of its nodes."""

    owner: str
    state: str
    nodes: dict[str, list[str]]


class NetworkStatusJson(NetworkJson):
    """All nodes of a network, by name; `exit` is the code that the verb ends with."""

    generation: int
    clusters: dict[str, str]
    members: dict[str, str]
    nodes: dict[str, NodeJson]
    links: dict[str, OwnerJson]
    exit: int


class KeptJson(TypedDict):
    """Networks that one cluster keeps."""

    networks: list[NetworkJson]


class NetworkListJson(TypedDict):
    """What each cluster keeps."""

    clusters: dict[str, KeptJson | UnknownJson]


class MemberStepJson(TypedDict):
    """A member who changes: null is none."""

    address: str
    role: str | None
    before: str | None


class NodeStepJson(TypedDict):
    """A node that changes, and why."""

    node: str
    doing: Doing
    cluster: str
    why: str


class StepsPart(NetworkJson):
    """All that an apply does, in order; `changes` counts it."""

    changes: int
    members: list[MemberStepJson]
    nodes: list[NodeStepJson]


class NodeOutlookJson(TypedDict):
    """What an apply means for a node, and what it costs an hour at full size afterwards, if known."""

    node: str
    effect: Effect
    cluster: str
    why: str
    peak_hour: Tokens | None
    identity: IdentityState
    stopped: NotRequired[Literal[True]]


class TunnelJson(TypedDict):
    """A tunnel that a node is to have to another; `lacks` is why nothing comes by it, empty where it does."""

    node: str
    other: str
    lacks: str


class NetworkPlanJson(StepsPart):
    """What an apply would do; exit code 10 where that is anything."""

    generation: int
    outlook: list[NodeOutlookJson]
    peak_hour: Tokens
    token: str
    tunnels: list[TunnelJson]


class NetworkProbeJson(TypedDict):
    """A probe that holds at a node, after how many seconds, and the last that it wrote."""

    name: str
    node: str
    seconds: float
    said: str


class NetworkApplyJson(StepsPart):
    """What an apply did, the first address of each node that was deployed, and the probes, which all hold."""

    generation: int
    urls: dict[str, str]
    probes: list[NetworkProbeJson]


class NetworkDeleteJson(NetworkJson):
    """Nodes that were removed. Not `found`: none of the clusters that were asked kept anything of it."""

    found: bool
    removed: list[str]
    asked: list[str]


class NodeEndpointJson(TypedDict):
    """Where a port of a node's service is reached, and what the node is known by."""

    node: str
    cluster: str
    service: str
    port: int
    url: str
    identity: IdentityJson


class NetworkEndpointsJson(NetworkJson):
    """Where all nodes are reached, as the document of `generation` has it."""

    generation: int
    endpoints: list[NodeEndpointJson]


class NetworkLogsJson(NetworkJson):
    """What each node wrote, or why it is not known; `exit` is the code that the verb ends with."""

    nodes: dict[str, LogsJson | UnknownJson]
    exit: int


class NetworkFundJson(NetworkJson):
    """What was paid for each node, or why not, and in all."""

    nodes: dict[str, FundJson | UnknownJson]
    exit: int
    paid: Tokens


class NetworkBackupJson(NetworkJson):
    """The backup of each node, or why there is none; `left_out` have nothing to back up."""

    nodes: dict[str, BackupJson | UnknownJson]
    exit: int
    left_out: list[str]
