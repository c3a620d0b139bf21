# SPDX-License-Identifier: Apache-2.0
"""The pods of a network's nodes, deployed and removed by the verbs that do it for a single pod."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import trio

from trustedpods.protocol.errors import Refused, TrustedPodsError
from trustedpods.protocol.ids import PodRef, address_from_bytes
from trustedpods.protocol.messages.base import Done
from trustedpods.protocol.messages.pod import LogsBody
from trustedpods.protocol.networks.book import AS_BEFORE, NetworkBook
from trustedpods.protocol.networks.content import NetworkCluster
from trustedpods.protocol.networks.members import NetworkName
from trustedpods.publisher.core.networks.owners.nodes import without_refused
from trustedpods.publisher.core.networks.plan import pod_name
from trustedpods.publisher.core.networks.planning.replacing import ChosenBackup
from trustedpods.publisher.core.networks.probes import NodeProbe, ProbeAnswer
from trustedpods.publisher.core.select import Choice
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.market.session import Session, next_generation
from trustedpods.publisher.payment import channel
from trustedpods.publisher.pod import Pod
from trustedpods.publisher.results.deployed import DeployProgress
from trustedpods.publisher.results.pods import (
    DeleteProgress,
    DeleteResult,
    LogPiece,
    OutlivingVolumes,
    VisitProgress,
)
from trustedpods.publisher.state.pod_records import PodRecord
from trustedpods.publisher.verbs import pods
from trustedpods.publisher.verbs.deploy import DeployOptions, deploy
from trustedpods.publisher.verbs.networks.applying import NOT_AGREED, ConfirmedNode
from trustedpods.publisher.verbs.networks.whole.replacing import filling, give_up
from trustedpods.publisher.verbs.running.exec import execute, make_body
from trustedpods.publisher.visits import records
from trustedpods.publisher.visits.newest_book import GivenBook
from trustedpods.publisher.visits.records import NodePlace


@dataclass(frozen=True, slots=True)
class MarketPods:
    """Pods in the market, each with a payment channel of its own; `options` are those of every deploy.

    Volumes that outlive a delete go with *purge* only: kept, they and their channel would keep the pod's
    name at their provider, and so its node out of every other cluster. `external` are the nodes outside any,
    `theirs` those of other owners: where one of them is closed at a provider, the node goes without it.
    `backups` are what nodes begin with whose volumes wait for one.
    """

    account: MarketAccount
    network: NetworkName
    pods: Mapping[str, Pod]
    options: DeployOptions
    journal: Journal
    purge: bool = False
    external: tuple[str, ...] = ()
    theirs: frozenset[str] = frozenset()
    backups: Mapping[str, ChosenBackup] = field(default_factory=dict)

    async def deploy(self, node: str, cluster: NetworkCluster, book: NetworkBook | None) -> ConfirmedNode:
        """See `NodePods`; raises what `deploy` raises."""
        choice = Choice(address_from_bytes(cluster.owner), cluster.daemon)
        network = f"{self.network.founder}/{self.network.name}"
        place = NodePlace(network, cluster.name, self.external)
        options = replace(self.options, choice=choice, network=place)
        name, ref = pod_name(self.network, node), self._ref(node, cluster)
        async with filling(self.account, ref, name, self.backups.get(node), self.journal):
            while True:
                pod = replace(self.pods[node], book=book)
                try:
                    alone = replace(self.account, payer=None)  # many at once would ask him side by side
                    done = await deploy(options, alone, pod, DeployProgress(), self.journal)
                    break
                except Refused as error:
                    book = _open_part(book, error, self.theirs, self.journal)
        return ConfirmedNode(done.confirmed.endpoints, done.confirmed.identity)

    async def tell(self, node: str, book: NetworkBook) -> None:
        """See `NodePods`; raises what a visit raises, and Refused where the provider does not take it."""
        name = pod_name(self.network, node)
        given = GivenBook(book, self.theirs)

        async def newest(_: PodRecord) -> GivenBook:
            return given

        visiting = pods.visit(self.account, name, VisitProgress(), self.journal, newest=newest)
        async with visiting as visited:
            bringing = BookBringing(visited.session, visited.location.ref, self.theirs, self.journal)
            taken, _ = await bringing.bring(book)
            records.keep_book(self.account, visited.record.channel, taken, self.journal)
            visited.remember(external=list(self.external))

    async def remove(self, node: str, cluster: NetworkCluster) -> None:
        """See `NodePods`; raises what `delete` raises."""
        name = pod_name(self.network, node)
        if await channel.look(self.account, self._ref(node, cluster)) is None:
            return  # by its name one would be asked for that is under notice at a provider which was lost
        options = pods.DeleteOptions(self.purge, _keeps_nothing)
        try:
            done = await pods.delete(self.account, name, DeleteProgress(), self.journal, options)
        except Refused as error:
            if error.rule == NOT_AGREED:
                raise Refused(
                    f"pod {name} has volumes that outlive it, and was not touched",
                    rule=NOT_AGREED,
                    hint=_HINT.format(name=name),
                ) from None
            if error.rule != "unknown-pod":  # the chain itself says that there never was one
                raise
            return
        if isinstance(done, DeleteResult) and done.retained is not None:  # it told nothing of them
            raise Refused(
                f"pod {name} is removed but for its volumes", rule="retained", hint=_HINT.format(name=name)
            )

    async def leave(self, node: str, cluster: NetworkCluster) -> None:
        """See `NodePods`; raises what giving notice raises."""
        await give_up(self.account, self._ref(node, cluster), pod_name(self.network, node), self.journal)

    def _ref(self, node: str, cluster: NetworkCluster) -> PodRef:
        """The node's pod in *cluster*, whether it is there or not."""
        owner = address_from_bytes(cluster.owner)
        return self.account.publisher.ref(owner, cluster.daemon, pod_name(self.network, node))

    async def ask(self, probe: NodeProbe) -> ProbeAnswer:
        """See `NodePods`."""
        body = make_body(probe.command, stdin=False, container=probe.container)
        end = bytearray()

        async def write(_: str, data: bytes) -> None:
            await trio.lowlevel.checkpoint()
            end.extend(data)
            del end[:-MAX_PROBE_OUTPUT]

        name = pod_name(self.network, probe.node)
        done = await execute(self.account, name, body, None, write, VisitProgress(), self.journal)
        lines = bytes(end).decode(errors="replace").splitlines()
        said = next((line for line in reversed(lines) if line.strip()), f"it ended with {done.exit_code}")
        return ProbeAnswer(done.exit_code, _printable(said))

    async def last_lines(self, node: str) -> Sequence[str]:
        """See `NodePods`; the last error of the pod is the one that counts, so one of asking is left out."""
        pieces: list[LogPiece] = []
        body = LogsBody(tail=LAST_LINES)
        name = pod_name(self.network, node)
        with trio.move_on_after(LAST_LINES_S):
            try:
                await pods.logs(self.account, name, body, pieces.append, VisitProgress(), self.journal)
            except TrustedPodsError:
                return ()
        text = b"".join(piece.data for piece in pieces).decode(errors="replace")
        return [_printable(line) for line in text.splitlines()[-LAST_LINES:]]


TAKEN_WITHIN_S = 600.0
"""For a node to take its new addresses: its replicas may be told to reload, five minutes in all."""

LAST_LINES = 10
"""Of a node that failed: enough for a program's last words."""

MAX_LINE = 400
"""Characters of one of them."""

MAX_PROBE_OUTPUT = 4096
"""Bytes that are kept of what a probe wrote last: its last line is shown."""

LAST_LINES_S = 20.0
"""How long a provider is asked for them; the failure itself is told in any case."""

_HINT = "again with --purge ends its volumes, as `trustedpods delete {name} --purge` does"


@dataclass(frozen=True, slots=True)
class BookBringing:
    """How the pod *ref* is told of an address book, by the *session* with its provider."""

    session: Session
    ref: PodRef
    theirs: Collection[str]
    journal: Journal
    within_s: float = TAKEN_WITHIN_S

    async def bring(self, book: NetworkBook) -> tuple[NetworkBook, bool]:
        """Let the pod have *book*, without those of `theirs` that are closed there.

        What it has now, and whether it had that before: False where it did. Raises what its provider answers.
        """
        given = book
        while True:
            try:
                async with self.session.converse("book", self.ref, given, next_generation()) as conversation:
                    done = await conversation.reply(Done, timeout=self.within_s)
                return given, not done.text.endswith(AS_BEFORE)
            except Refused as error:
                given = _open_part(given, error, self.theirs, self.journal)


def _open_part(
    book: NetworkBook | None, refused: Refused, theirs: Collection[str], journal: Journal
) -> NetworkBook:
    """*book* without nodes of other owners that a provider *refused*, which is told. Else it is raised."""
    left = None if book is None else without_refused(book, refused, theirs)
    if left is None:
        raise refused
    journal.show.warning(f"{refused.what}; {left.node} goes without")
    return left


def _printable(line: str) -> str:
    """A line of a pod's for a terminal: it may hold anything."""
    return "".join(letter if letter.isprintable() else "?" for letter in line[:MAX_LINE])


def _keeps_nothing(_: OutlivingVolumes) -> bool:
    return False
