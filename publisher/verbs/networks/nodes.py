# SPDX-License-Identifier: Apache-2.0
"""The pods of a network's nodes, deployed and removed by the verbs that do it for a single pod."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import trio

from trustedpods.protocol.errors import Refused, TrustedPodsError
from trustedpods.protocol.ids import PodRef, address_from_bytes
from trustedpods.protocol.messages.base import Done
from trustedpods.protocol.messages.pod import LogsBody
from trustedpods.protocol.networks.book import AS_BEFORE, NetworkBook
from trustedpods.protocol.networks.content import NetworkCluster
from trustedpods.protocol.networks.members import NetworkName
from trustedpods.publisher.core.networks.plan import pod_name
from trustedpods.publisher.core.select import Choice
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.market.session import Session, next_generation
from trustedpods.publisher.pod import Pod
from trustedpods.publisher.results.deployed import DeployProgress
from trustedpods.publisher.results.pods import DeleteProgress, LogPiece, OutlivingVolumes, VisitProgress
from trustedpods.publisher.verbs import pods
from trustedpods.publisher.verbs.deploy import DeployOptions, deploy
from trustedpods.publisher.verbs.networks.applying import NOT_AGREED, ConfirmedNode
from trustedpods.publisher.visits import records
from trustedpods.publisher.visits.records import NodePlace


@dataclass(frozen=True, slots=True)
class MarketPods:
    """Pods in the market, each with a payment channel of its own; `options` are those of every deploy.

    Volumes that outlive a delete go with *purge* only: kept, they and their channel would keep the pod's
    name at their provider, and so its node out of every other cluster. `external` are the nodes outside any.
    """

    account: MarketAccount
    network: NetworkName
    pods: Mapping[str, Pod]
    options: DeployOptions
    journal: Journal
    purge: bool = False
    external: tuple[str, ...] = ()

    async def deploy(self, node: str, cluster: NetworkCluster, book: NetworkBook | None) -> ConfirmedNode:
        """See `NodePods`; raises what `deploy` raises."""
        choice = Choice(address_from_bytes(cluster.owner), cluster.daemon)
        network = f"{self.network.founder}/{self.network.name}"
        place = NodePlace(network, cluster.name, self.external)
        options = replace(self.options, choice=choice, network=place)
        pod = replace(self.pods[node], book=book)
        done = await deploy(options, self.account, pod, DeployProgress(), self.journal)
        return ConfirmedNode(done.confirmed.endpoints, done.confirmed.identity)

    async def tell(self, node: str, book: NetworkBook) -> None:
        """See `NodePods`; raises what a visit raises, and Refused where the provider does not take it."""
        name = pod_name(self.network, node)
        async with pods.visit(self.account, name, VisitProgress(), self.journal) as visited:
            await bring_book(visited.session, visited.location.ref, book)
            records.keep_book(self.account, visited.record.channel, book, self.journal)
            visited.remember(external=list(self.external))

    async def remove(self, node: str) -> None:
        """See `NodePods`; raises what `delete` raises."""
        name = pod_name(self.network, node)
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
            if error.rule != "unknown-pod":  # the chain itself says that there is none
                raise
            return
        if done.retained is not None:  # its provider said nothing of them before
            raise Refused(
                f"pod {name} is removed but for its volumes", rule="retained", hint=_HINT.format(name=name)
            )

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

LAST_LINES_S = 20.0
"""How long a provider is asked for them; the failure itself is told in any case."""

_HINT = "again with --purge ends its volumes, as `trustedpods delete {name} --purge` does"


async def bring_book(
    session: Session, ref: PodRef, book: NetworkBook, within_s: float = TAKEN_WITHIN_S
) -> bool:
    """Let a pod have *book*; False where it has that already. Raises what its provider answers."""
    async with session.converse("book", ref, book, next_generation()) as conversation:
        done = await conversation.reply(Done, timeout=within_s)
    return not done.text.endswith(AS_BEFORE)


def _printable(line: str) -> str:
    """A line of a pod's for a terminal: it may hold anything."""
    return "".join(letter if letter.isprintable() else "?" for letter in line[:MAX_LINE])


def _keeps_nothing(_: OutlivingVolumes) -> bool:
    return False
