# SPDX-License-Identifier: Apache-2.0
"""Networks of pods as a Python program calls them, and whom verbs tell what they do.

`network` is NAME, one's own, or FOUNDER/NAME; `clusters` gives for each cluster's name what follows it in
`--cluster NAME=`. Where a verb says that it finds the others, one cluster is enough.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import trio
from pydantic import ValidationError

from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.ids import parse_address
from trustedpods.protocol.messages.pod import LogsBody
from trustedpods.protocol.networks.members import NetworkName, Role
from trustedpods.publisher.context import cache_dir
from trustedpods.publisher.core.money import parse_funding
from trustedpods.publisher.core.networks.mapping import parse_clusters
from trustedpods.publisher.core.networks.planning.replacing import Replacing
from trustedpods.publisher.core.select import Choice
from trustedpods.publisher.journal import Journal, Show
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.results.networks import (
    ApplyResult,
    BackupResult,
    BreakResult,
    CardResult,
    ConnectResult,
    CopiesResult,
    HistoryResult,
    KeptNetworksResult,
    LeasesResult,
    MembersResult,
    MigrateResult,
    NetworkDeleteResult,
    NetworkEndpointsResult,
    NetworkFundResult,
    NetworkLogsResult,
    NetworkStatusResult,
    PlanResult,
    RepairResult,
    RestoreResult,
)
from trustedpods.publisher.verbs.deploy import DeployOptions
from trustedpods.publisher.verbs.networks import apply, connect, delete, lock, places, state, status
from trustedpods.publisher.verbs.networks.documents import history, members, versions
from trustedpods.publisher.verbs.networks.files import NetworkFile, read_network
from trustedpods.publisher.verbs.networks.whole import fund, logs, nodes

LOGGER = logging.getLogger("trustedpods")

RoleName = Literal["owner", "operator", "viewer"]


class LogShow:
    """What a verb tells, as log records: lines as INFO, warnings as WARNING, transfers as DEBUG."""

    def line(self, text: str) -> None:
        """Something happened."""
        LOGGER.info("%s", text)

    def warning(self, text: str) -> None:
        """Something to know of, though it goes on."""
        LOGGER.warning("%s", text)

    def progress(self, name: str, done: int, total: int) -> None:
        """So many of so many bytes of *name*."""
        LOGGER.debug("%s: %d of %d bytes", name, done, total)


class NetworkClient:
    """The verbs on networks of one key in one market; `Client` has them beside those on pods."""

    def __init__(self, account: MarketAccount, show: Show | None = None) -> None:
        self._account = account
        self._show = show or LogShow()

    def _journal(self) -> Journal:
        return Journal(self._show)

    # ---- networks: files, nodes, members ------------------------------------------------------------

    def network_card(self) -> CardResult:
        """The key's card: with it an owner lets its holder in. No secret."""
        return connect.card(self._account)

    async def network_connect(
        self, network: str, clusters: Mapping[str, str], *, wait_s: float = 0.0
    ) -> ConnectResult:
        """Begin the network in all of *clusters*, or see that it is there in the same ones."""
        return await connect.connect(self._account, _place(network, clusters), wait_s, self._journal())

    async def network_plan(
        self, file: str | Path, clusters: Mapping[str, str], *, store: str | None = None
    ) -> PlanResult:
        """What an apply of the Network in *file* would change now. Finds the other clusters.

        *store* is where backups of lost nodes are; None: each pod's own place.
        """
        read, known = await self._file(file), _known(clusters)
        return await apply.plan(self._account, read, known, self._journal(), store=store)

    async def network_apply(
        self,
        file: str | Path,
        clusters: Mapping[str, str],
        *,
        deposit: str | None = None,
        only: Sequence[str] = (),
        purge: bool = False,
        replacing: Replacing | None = None,
        wait_s: float = 0.0,
    ) -> ApplyResult:
        """Bring the network to what *file* says; killed anywhere, the next call goes on. Finds the others.

        *deposit* of each node is as `deploy` takes it; with *only* no other nodes are changed; with *purge*
        volumes of removed nodes go too; with *replacing* nodes of lost clusters come anew. Without *only* it
        returns when the file's probes hold at the own nodes, else raises Refused (rule `network-probe`).
        """
        read, known = await self._file(file), _known(clusters)
        funding = None if deposit is None else parse_funding(deposit, "deposit")
        said = [("FILE", str(file)), *([] if deposit is None else [("--deposit", deposit)])]
        said += [*(("--only", one) for one in only), *([("--purge", "")] if purge else [])]
        said += [] if replacing is None else replacing.said
        wanted = apply.ApplyOptions(
            known,
            wait_s,
            DeployOptions(funding=funding),
            tuple(said),
            purge=purge,
            only=tuple(only),
            replacing=replacing,
        )
        return await apply.apply(self._account, read, wanted, self._journal())

    async def network_status(self, network: str, clusters: Mapping[str, str]) -> NetworkStatusResult:
        """Every node: what the document says, and what its provider says of one's own. Finds the others."""
        name, known = self._name(network), _known(clusters)
        return await status.status(self._account, name, known, self._journal())

    async def network_endpoints(self, network: str, clusters: Mapping[str, str]) -> NetworkEndpointsResult:
        """Where every node is reached. Finds the others."""
        name, known = self._name(network), _known(clusters)
        return await nodes.endpoints(self._account, name, known, self._journal())

    async def network_logs(
        self, network: str, clusters: Mapping[str, str], wanted: Sequence[str] = (), tail: int = 100
    ) -> NetworkLogsResult:
        """The last *tail* lines (1 to 10000) of the *wanted* nodes, or of all one's own. Finds the others."""
        try:
            body = LogsBody(container=None, tail=tail)
        except ValidationError:
            raise BadInput("1 to 10000 lines", where="tail") from None
        name, known = self._name(network), _known(clusters)
        return await logs.logs(self._account, name, known, wanted, body, self._journal())

    async def network_fund(self, network: str, clusters: Mapping[str, str], amount: str) -> NetworkFundResult:
        """Pay *amount* (tokens in all, or a duration for each) into one's own nodes. Finds the others."""
        name, known, funding = self._name(network), _known(clusters), parse_funding(amount, "amount")
        return await fund.fund(self._account, name, known, funding, self._journal())

    async def network_delete(
        self, network: str, clusters: Mapping[str, str], *, purge: bool = False, wait_s: float = 0.0
    ) -> NetworkDeleteResult:
        """Remove every node, then the documents. Only owners may; it may be repeated. Finds the others."""
        name, known = self._name(network), _known(clusters)
        return await delete.delete(self._account, name, known, wait_s, self._journal(), purge=purge)

    async def member_add(
        self,
        network: str,
        clusters: Mapping[str, str],
        member: str,
        card: str | Path,
        role: RoleName,
        *,
        wait_s: float = 0.0,
    ) -> MembersResult:
        """Let the address *member* in, by the file of his card; or give him a new card. Finds the others."""
        place, who = _place(network, clusters), parse_address(member)
        return await members.add(self._account, place, who, Path(card), Role(role), wait_s, self._journal())

    async def member_role(
        self,
        network: str,
        clusters: Mapping[str, str],
        member: str,
        role: RoleName,
        *,
        wait_s: float = 0.0,
    ) -> MembersResult:
        """Give *member* another role. Finds the others."""
        place, who = _place(network, clusters), parse_address(member)
        return await members.set_role(self._account, place, who, Role(role), wait_s, self._journal())

    async def member_remove(
        self, network: str, clusters: Mapping[str, str], member: str, *, wait_s: float = 0.0
    ) -> MembersResult:
        """Take *member* out; what is written from then on he cannot open. Finds the others."""
        place, who = _place(network, clusters), parse_address(member)
        return await members.remove(self._account, place, who, wait_s, self._journal())

    async def network_lost(
        self,
        network: str,
        clusters: Mapping[str, str],
        lost: Sequence[str],
        reason: str,
        *,
        wait_s: float = 0.0,
    ) -> MembersResult:
        """Declare the clusters *lost* so, with a *reason* that stays: nothing asks them. Finds others."""
        place = _place(network, clusters)
        return await members.lose(self._account, place, lost, reason, wait_s, self._journal())

    # ---- leases and copies: of the clusters that are named --------------------------------------

    async def network_list(self, clusters: Mapping[str, str]) -> KeptNetworksResult:
        """The networks that each cluster keeps: everybody may learn that they exist."""
        return await status.kept(self._account, _known(clusters))

    async def lock_status(self, network: str, clusters: Mapping[str, str]) -> LeasesResult:
        """Who holds the lease of each cluster, who waits, and which were broken."""
        return await lock.status(self._account, _place(network, clusters), self._journal())

    async def lock_break(self, network: str, clusters: Mapping[str, str], reason: str) -> BreakResult:
        """End the leases that are held now; *reason* stays in each cluster, with this key's address."""
        return await lock.break_lease(self._account, _place(network, clusters), reason, self._journal())

    async def state_show(self, network: str, clusters: Mapping[str, str]) -> CopiesResult:
        """Each cluster's copy of the network's document, and how they differ."""
        return await state.show(self._account, _place(network, clusters), self._journal())

    async def state_repair(
        self, network: str, clusters: Mapping[str, str], source: str, *, wait_s: float = 0.0
    ) -> RepairResult:
        """Let the document of the cluster *source* be that of all, under all leases."""
        return await state.repair(self._account, _place(network, clusters), source, wait_s, self._journal())

    async def history(self, network: str, clusters: Mapping[str, str]) -> HistoryResult:
        """Commands on the network, oldest first; one that was killed has no end."""
        return await history.history(self._account, _place(network, clusters), self._journal())

    async def state_backup(self, network: str, clusters: Mapping[str, str], file: str | Path) -> BackupResult:
        """Keep the state in *file*, sealed to the team and signed."""
        return await versions.backup(self._account, _place(network, clusters), Path(file), self._journal())

    async def state_migrate(
        self,
        network: str,
        clusters: Mapping[str, str],
        *,
        backup: str | Path | None = None,
        wait_s: float = 0.0,
    ) -> MigrateResult:
        """Bring the state to this version's schema after a *backup*; without one only say what that does."""
        file = None if backup is None else Path(backup)
        return await versions.migrate(self._account, _place(network, clusters), file, wait_s, self._journal())

    async def state_restore(
        self,
        network: str,
        clusters: Mapping[str, str],
        file: str | Path,
        *,
        go_back: bool = False,
        wait_s: float = 0.0,
    ) -> RestoreResult:
        """Let a backup's state be the next one; Refused (rule `go-back`) for what would undo changes."""
        place = _place(network, clusters)
        return await versions.restore(
            self._account, place, Path(file), self._journal(), go_back=go_back, wait_s=wait_s
        )

    def _name(self, network: str) -> NetworkName:
        return places.parse_network(network, self._account.publisher.address)

    async def _file(self, file: str | Path) -> NetworkFile:
        who = self._account.publisher.address
        return await trio.to_thread.run_sync(read_network, Path(file), cache_dir(), who)


def _place(network: str, clusters: Mapping[str, str]) -> places.NetworkPlace:
    return places.parse_place(network, [f"{name}={provider}" for name, provider in clusters.items()])


def _known(clusters: Mapping[str, str]) -> dict[str, Choice]:
    return parse_clusters([f"{name}={provider}" for name, provider in clusters.items()])
