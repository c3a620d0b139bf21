# SPDX-License-Identifier: Apache-2.0
"""The newest addresses for nodes that run: brought by `watch` to those that were away when others moved."""

from collections.abc import Sequence

import trio

from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.protocol.errors import Refused, TrustedPodsError
from trustedpods.protocol.ids import Address
from trustedpods.publisher.core.networks.book import LinkedNodes, renewed
from trustedpods.publisher.core.networks.owners.nodes import closed_nodes_of, nodes_of
from trustedpods.publisher.core.select import Choice
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.networks.states import MemberView
from trustedpods.publisher.state.pod_records import PodRecord
from trustedpods.publisher.verbs.networks.nodes import BookBringing
from trustedpods.publisher.verbs.networks.opening import newest
from trustedpods.publisher.verbs.networks.places import NetworkPlace, opened, parse_network
from trustedpods.publisher.visits import records
from trustedpods.publisher.visits.newest_book import GivenBook
from trustedpods.publisher.visits.visit import Visit

TOLD_WITHIN_S = 60.0
"""In a round that looks after other pods too. A provider goes on with what is due, and says so next time."""


class NewestBooks:
    """What the networks of *pods* say now, each read once. No lease is taken and no file is needed."""

    def __init__(self, account: MarketAccount, pods: Sequence[PodRecord], journal: Journal) -> None:
        self._account = account
        self._pods = pods
        self._journal = journal
        self._known: dict[str, MemberView | TrustedPodsError] = {}
        self._reading = trio.Lock()

    async def bring(self, visit: Visit) -> bool:
        """Let the visited pod's provider know where the nodes are that it calls; False where it does already.

        Raises what reading the network's document raises, and what the provider answers.
        """
        given = await self._newest(visit.record)
        if given is None:
            return False
        bringing = BookBringing(visit.session, visit.location.ref, given.theirs, self._journal, TOLD_WITHIN_S)
        try:
            _, changed = await bringing.bring(given.book)
        except Refused as error:
            if error.rule in ("stale-book", "other-book"):  # somebody's apply brought a newer one meanwhile
                return False
            raise
        return changed

    async def newest(self, record: PodRecord) -> GivenBook | None:
        """What a node that is released is to begin with; None too where the document cannot be read now.

        That is told by `bring`, once the node serves.
        """
        try:
            return await self._newest(record)
        except TrustedPodsError:
            return None

    async def _newest(self, record: PodRecord) -> GivenBook | None:
        """The book of a node of a network, as its document has it now; None for any other pod."""
        bundle = records.pod_records().bundle(record.channel, self._account.publisher.secret)
        if record.network is None or bundle is None or bundle.book is None:
            return None
        view = await self._view(record.network)
        content, generation = view.content, view.document.generation
        epoch = content.metadata.epoch
        called = PodManifest.model_validate_json(bundle.manifest).spec.network
        others = LinkedNodes(
            nodes_of(content.links),
            closed_nodes_of(content.links),
            frozenset(bundle.book.nodes) - set(called.nodes),
            called.linked_nodes,
        )
        book = renewed(bundle.book, content.addresses, generation, record.external, others, epoch=epoch)
        return GivenBook(book, others.entries)

    async def _view(self, network: str) -> MemberView:
        async with self._reading:
            if network not in self._known:
                try:
                    self._known[network] = await self._read(network)
                except TrustedPodsError as error:
                    self._known[network] = error
        found = self._known[network]
        if isinstance(found, TrustedPodsError):
            raise found
        return found

    async def _read(self, network: str) -> MemberView:
        """The newest document that any cluster has in which there are pods of the network.

        One whose provider left the registry, as after it was lost, is not asked; nor one of two names twice.
        """
        name = parse_network(network, self._account.publisher.address)
        rows = await self._account.market.rows()
        named = {
            Choice(Address(pod.owner), pod.daemon): pod.cluster
            for pod in self._pods
            if pod.network == network and pod.cluster is not None
        }
        clusters = {
            cluster: choice for choice, cluster in named.items() if any(choice.matches(row) for row in rows)
        }
        place = NetworkPlace(name.founder, name.name, clusters)
        async with opened(self._account, place, self._journal) as (_, asked):
            return newest(self._account, name, await asked.copies())
