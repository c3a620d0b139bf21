# SPDX-License-Identifier: Apache-2.0
"""Results of the verbs on networks: leases and copies, cluster by cluster."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trustedpods.protocol.errors import ExitCode
from trustedpods.protocol.ids import Address
from trustedpods.protocol.networks.documents import Copy, Document
from trustedpods.protocol.networks.history import HistoryRecord
from trustedpods.protocol.networks.leases import LeaseStatus
from trustedpods.protocol.networks.members import Role
from trustedpods.protocol.units import TokenUnits
from trustedpods.publisher.core.money import Token
from trustedpods.publisher.core.networks.plan import Plan
from trustedpods.publisher.core.networks.planning.outlook import NodeOutlook, TunnelOutlook
from trustedpods.publisher.journal import Fact
from trustedpods.publisher.results.backups.volumes import VolumeBackupResult
from trustedpods.publisher.results.errors import ErrorReport
from trustedpods.publisher.results.money import FundResult
from trustedpods.publisher.results.pods import LogsResult, StatusResult
from trustedpods.publisher.results.providers import ProviderId

SERVING = "serving"
"""The phase of a pod that answers whoever comes, also while it sleeps."""


@dataclass(frozen=True, slots=True)
class NetworkId:
    """A network: who founded it, and its name."""

    founder: Address
    name: str


@dataclass(frozen=True, slots=True)
class LeasesResult:
    """Each cluster's lease, or why it is not known."""

    network: NetworkId
    clusters: Mapping[str, LeaseStatus | ErrorReport]


@dataclass(frozen=True, slots=True)
class KeptNetworksResult:
    """The networks that each cluster keeps, by founder and name; or why it did not say."""

    clusters: Mapping[str, tuple[NetworkId, ...] | ErrorReport]


@dataclass(frozen=True, slots=True)
class BreakResult:
    """Whose lease was broken in which cluster; None where nobody held one."""

    network: NetworkId
    reason: str
    broken: Mapping[str, Address | None]


@dataclass(frozen=True, slots=True)
class HistoryResult:
    """Commands on a network, oldest first, behind `dropped` older ones; `script` does them again."""

    network: NetworkId
    records: tuple[HistoryRecord, ...]
    dropped: int
    script: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MembersResult:
    """The team after a change of it, and the clusters that are lost, with the reason."""

    network: NetworkId
    members: Mapping[Address, Role]
    lost: Mapping[str, str]
    document: Document


@dataclass(frozen=True, slots=True)
class BackupResult:
    """The document that `file` holds now."""

    network: NetworkId
    file: Path
    document: Document


@dataclass(frozen=True, slots=True)
class MigrateResult:
    """What each missing schema brings; `document` is None where nothing was to be written but said."""

    network: NetworkId
    steps: tuple[str, ...]
    from_version: int
    to_version: int
    document: Document | None


@dataclass(frozen=True, slots=True)
class RestoreResult:
    """The backup's document, the one that counts now, and what the backup changed."""

    network: NetworkId
    saved: Document
    document: Document
    differences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CopiesResult:
    """Each cluster's copy, or why it could not be read; `difference` names the first one, if any."""

    network: NetworkId
    clusters: Mapping[str, Copy | ErrorReport]
    being_written: bool
    difference: str


@dataclass(frozen=True, slots=True)
class RepairResult:
    """The document that all copies hold now, and the cluster whose it was."""

    network: NetworkId
    source: str
    document: Document


@dataclass(frozen=True, slots=True)
class ConnectResult:
    """A network and its clusters, as its document has them; `begun` if this was its first document."""

    network: NetworkId
    clusters: Mapping[str, str]
    begun: bool
    generation: int


@dataclass(frozen=True, slots=True)
class PlanResult:
    """What an apply would do, and what it means for each node and costs an hour."""

    network: NetworkId
    plan: Plan
    generation: int
    nodes: tuple[NodeOutlook, ...]
    token: Token
    tunnels: tuple[TunnelOutlook, ...] = ()

    @property
    def an_hour(self) -> TokenUnits:
        """The whole network's cost at full size afterwards, of nodes whose price is known."""
        return TokenUnits(sum(node.an_hour or 0 for node in self.nodes))


@dataclass(frozen=True, slots=True)
class HeldProbe:
    """A probe that holds at a node, after how many seconds, and the last that it wrote."""

    name: str
    node: str
    seconds: float
    said: str


@dataclass(frozen=True, slots=True)
class ApplyResult:
    """What an apply did. `urls` has the first address of each node that was deployed.

    `probes` are those of the file at the asker's own nodes: all hold. None were asked with `--only`.
    """

    network: NetworkId
    plan: Plan
    generation: int
    urls: Mapping[str, str]
    probes: tuple[HeldProbe, ...] = ()


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """A node as the document has it, beside what its provider says: None where another member's key asks.

    `pod` is the name by which `status`, `logs` and `bill` know it.
    """

    cluster: str
    phase: str
    publisher: Address
    pod: str
    url: str | None
    live: StatusResult | ErrorReport | None

    @property
    def sound(self) -> bool:
        """Whether it was brought to its end, and nothing that is known speaks against it."""
        if self.phase != "started" or isinstance(self.live, ErrorReport):
            return False
        return self.live is None or self.live.phase == SERVING


@dataclass(frozen=True, slots=True)
class OwnerStatus:
    """Another owner, how far the link to him is, and his nodes' addresses, by their names here."""

    owner: Address
    state: str
    nodes: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class NetworkStatusResult:
    """All nodes of a network, by their names, its team, and links to other owners, by their aliases."""

    network: NetworkId
    generation: int
    clusters: Mapping[str, str]
    members: Mapping[Address, str]
    nodes: Mapping[str, NodeStatus]
    links: Mapping[str, OwnerStatus] = field(default_factory=dict)

    @property
    def exit_code(self) -> ExitCode:
        """0 when every node is sound, that of the first error that a node has, else 10: an apply is due."""
        for node in self.nodes.values():
            if isinstance(node.live, ErrorReport):
                return node.live.exit_code
        sound = all(node.sound for node in self.nodes.values())
        return ExitCode.DONE if sound else ExitCode.PLAN_HAS_CHANGES


@dataclass(frozen=True, slots=True)
class NodeEndpoint:
    """An address at which a port of a node's service is reached, and what the node is known by."""

    node: str
    cluster: str
    service: str
    port: int
    url: str
    identity: bytes = b""


@dataclass(frozen=True, slots=True)
class NetworkEndpointsResult:
    """Where all nodes are reached, as the document of `generation` has it."""

    network: NetworkId
    generation: int
    endpoints: tuple[NodeEndpoint, ...]


@dataclass(frozen=True, slots=True)
class NetworkLogsResult:
    """What each node wrote, or why it is not known."""

    network: NetworkId
    nodes: Mapping[str, LogsResult | ErrorReport]

    @property
    def exit_code(self) -> ExitCode:
        """That of the first node that has an error."""
        return _first_error(self.nodes.values())


@dataclass(frozen=True, slots=True)
class NetworkBackupResult:
    """The backup of each node, or why there is none; `left_out` are nodes that have nothing to back up."""

    network: NetworkId
    nodes: Mapping[str, VolumeBackupResult | ErrorReport]
    left_out: tuple[str, ...] = ()

    @property
    def exit_code(self) -> ExitCode:
        """That of the first node that has an error."""
        return _first_error(self.nodes.values())


@dataclass(frozen=True, slots=True)
class NetworkFundResult:
    """What was paid for each node, or why not. A node whose share is nothing is not there."""

    network: NetworkId
    token: Token
    nodes: Mapping[str, FundResult | ErrorReport]

    @property
    def exit_code(self) -> ExitCode:
        """That of the first node that has an error."""
        return _first_error(self.nodes.values())

    @property
    def paid(self) -> TokenUnits:
        """In all."""
        return TokenUnits(sum(one.paid for one in self.nodes.values() if isinstance(one, FundResult)))


def _first_error(found: Iterable[object]) -> ExitCode:
    return next((one.exit_code for one in found if isinstance(one, ErrorReport)), ExitCode.DONE)


@dataclass(frozen=True, slots=True)
class NetworkDeleteResult:
    """A network that is gone: the nodes that were removed.

    Without `found` none of the clusters `asked` kept anything of it: it was gone before, or never there.
    """

    network: NetworkId
    removed: tuple[str, ...]
    asked: tuple[str, ...]
    found: bool = True


@dataclass(frozen=True, slots=True)
class CardResult:
    """A member's card as a line of text, for an owner."""

    member: Address
    card: str


@dataclass(frozen=True, slots=True)
class NetworkDraftResult:
    """The first file of a network of a `kind`: what was `written`, what was there and `kept`.

    `images` are those that its nodes run, by the names under which `deploy/images/build.py` makes them.
    """

    network: str
    kind: str
    file: str
    written: tuple[str, ...]
    kept: tuple[str, ...]
    images: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RenderedNode:
    """A node as a template, its values and the network's other nodes make it: its pod's whole manifest.

    Where its provider was asked, `objects` are what its cluster would hold, as of `RenderResult`.
    """

    node: str
    pod: str
    manifest: Mapping[str, Fact]
    provider: ProviderId | None = None
    objects: tuple[Mapping[str, Fact], ...] = ()


@dataclass(frozen=True, slots=True)
class NetworkRenderResult:
    """`network render`: nodes in the order of the file."""

    network: NetworkId
    nodes: tuple[RenderedNode, ...]


@dataclass(frozen=True, slots=True)
class ExportResult:
    """A signed `document` for another owner, one line of text, and what stands in it.

    `shared` are SHA-256 of files, in hex digits, by their names.
    """

    network: NetworkId
    document: str
    to: Address | None
    nodes: tuple[str, ...]
    shared: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class LinkResult:
    """A link after a verb, the nodes that came and went by it, and what is to be sent to the other owner.

    `changed` is False where all was so before. `document` is one line of text, or empty. `files` are those
    that were written here.
    """

    network: NetworkId
    alias: str
    link: OwnerStatus
    changed: bool
    came: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    document: str = ""
    files: tuple[str, ...] = ()
