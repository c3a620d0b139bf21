# SPDX-License-Identifier: Apache-2.0
"""`network backup`: the volumes of all one's own nodes, each node's as `backup` of its pod makes it."""

from collections.abc import Mapping, Sequence

from trustedpods.protocol.errors import Refused, TrustedPodsError
from trustedpods.protocol.networks.members import NetworkName
from trustedpods.publisher.backups.sources import NothingToBackUp
from trustedpods.publisher.core.select import Choice
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.results.backups.volumes import VolumeBackupResult
from trustedpods.publisher.results.errors import ErrorReport
from trustedpods.publisher.results.networks import NetworkBackupResult, NetworkId
from trustedpods.publisher.results.pods import VisitProgress
from trustedpods.publisher.verbs.networks.whole.nodes import own_pods, view_of
from trustedpods.publisher.verbs.running.backup import BackupOptions, backup


async def backup_nodes(
    account: MarketAccount,
    network: NetworkName,
    known: Mapping[str, Choice],
    nodes: Sequence[str],
    options: BackupOptions,
    journal: Journal,
) -> NetworkBackupResult:
    """A backup of each node of one's own, or of those of *nodes*, one after another.

    Nodes without a volume to back up are left out, unless they were named. What hinders one is told, and
    stops no other. Raises what `view_of` raises, and BadInput for a node that is none of one's own.
    """
    view = await view_of(account, network, known, journal)
    made: dict[str, VolumeBackupResult | ErrorReport] = {}
    left_out: list[str] = []
    for node, pod in own_pods(account, view, nodes).items():
        try:
            made[node] = await backup(account, pod, options, VisitProgress(), journal)
        except NothingToBackUp as error:
            if nodes:
                made[node] = ErrorReport.of(error)
            else:
                left_out.append(node)
        except TrustedPodsError as error:
            made[node] = ErrorReport.of(error)
    if not made:
        raise Refused("no node of yours has a volume to back up", rule="no-backup")
    return NetworkBackupResult(NetworkId(network.founder, network.name), made, tuple(left_out))
