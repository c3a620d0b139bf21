# SPDX-License-Identifier: Apache-2.0
"""Results of the verbs on networks: leases and copies, cluster by cluster."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from trustedpods.protocol.ids import Address
from trustedpods.protocol.networks.documents import Copy, Document
from trustedpods.protocol.networks.history import HistoryRecord
from trustedpods.protocol.networks.leases import LeaseStatus
from trustedpods.publisher.results.errors import ErrorReport


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
