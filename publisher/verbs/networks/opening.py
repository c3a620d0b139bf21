# SPDX-License-Identifier: Apache-2.0
"""A network that exists, whole: from the clusters that one knows to all those that its document names."""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

from trustedpods.protocol.errors import BadInput, NoContext, Refused, TrustedPodsError
from trustedpods.protocol.ids import address_from_bytes
from trustedpods.protocol.networks.content import NetworkContent
from trustedpods.protocol.networks.documents import NOTHING, Copy, Document
from trustedpods.protocol.networks.members import NetworkName
from trustedpods.publisher.core.select import Choice
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.networks.clusters import NetworkClusters
from trustedpods.publisher.networks.states import MemberView, read_state
from trustedpods.publisher.verbs.networks.places import NetworkPlace, opened

NO_NETWORK = "no-network"
"""The rule of a refusal where no cluster that was asked keeps a document of the network."""


def choices_of(content: NetworkContent) -> dict[str, Choice]:
    """The provider of each cluster that is not lost, as the network's document has it."""
    return {
        one.name: Choice(address_from_bytes(one.owner), one.daemon)
        for one in content.clusters
        if one.lost is None
    }


@asynccontextmanager
async def opened_whole(
    account: MarketAccount,
    network: NetworkName,
    known: Mapping[str, Choice],
    journal: Journal,
    *,
    lost: Collection[str] = (),
    founding: bool = False,
) -> AsyncIterator[NetworkClusters]:
    """All clusters of *network*, found through those that are *known*; one is enough. The one way to open it.

    Which clusters they are is what the newest document says, one that is about to count too: whoever takes
    the leases brings it to its end, on all of them. Those that are *lost* are not asked. Where no cluster
    has its document and *founding* is set, they are those that are known. Raises Refused (rule `no-network`)
    where none of them has its document, (rule `clusters`) where one is another provider in it; BadInput where
    one of *lost* is none of them; and what a cluster failed with where none answers.
    """
    known = {name: choice for name, choice in known.items() if name not in lost}
    if not known:
        raise NoContext(
            f"no cluster of network {network.name} is named",
            hint="give --cluster NAME=OWNER/N for one, or keep it: `trustedpods context map NAME=OWNER/N`",
        )
    place = NetworkPlace(network.founder, network.name, known)
    async with AsyncExitStack() as stack:
        _, clusters = await stack.enter_async_context(opened(account, place, journal))
        copies = await clusters.copies()
        if founding and all(copy == Copy() for copy in copies.values()):
            yield clusters
            return
        view = newest(account, network, copies)
        ways = _ways(view, known, lost)
        if set(ways) == set(known):
            yield clusters
            return
        await stack.aclose()
        async with opened(account, replace(place, clusters=ways), journal) as (_, all_clusters):
            yield all_clusters


def _ways(view: MemberView, known: Mapping[str, Choice], lost: Collection[str]) -> dict[str, Choice]:
    """Each cluster of the network but those that are *lost*: as it is known, else by the document."""
    whole = choices_of(view.content)
    for name, choice in known.items():
        if name in whole and not _same(choice, whole[name]):
            raise Refused(
                f"cluster {name} of {view.network} is {whole[name]}, not {choice}",
                where=f"cluster {name}",
                rule="clusters",
                hint=f"`trustedpods context map {name}={whole[name]}`, or --cluster {name}={whole[name]}",
            )
    for name in lost:
        if name not in whole:
            raise BadInput(f"{view.network} has no cluster {name!r} that is not lost already")
    return {name: known.get(name, choice) for name, choice in whole.items() if name not in lost}


def newest(
    account: MarketAccount, network: NetworkName, copies: Mapping[str, Copy | TrustedPodsError]
) -> MemberView:
    """The newest document that any of *copies* has; whether all agree is seen under their leases."""
    documents = newest_first(copy for copy in copies.values() if isinstance(copy, Copy))
    failures = [copy for copy in copies.values() if isinstance(copy, TrustedPodsError)]
    if documents:
        return read_state(account.publisher, network, documents[0])
    if failures:
        raise failures[0]
    raise Refused(
        f"none of {', '.join(copies)} has a network {network}",
        rule=NO_NETWORK,
        hint=f"`trustedpods network connect {network.name} --cluster NAME=OWNER/N` begins one; somebody "
        "else's is FOUNDER/NAME",
    )


def counting(account: MarketAccount, network: NetworkName, document: Document) -> MemberView:
    """What *document* says. Refused (rule `no-network`) where none counts yet."""
    if document == NOTHING:
        raise Refused(
            f"these clusters keep no network {network}",
            rule=NO_NETWORK,
            hint="its founder begins it, or goes on with it: `trustedpods network connect`",
        )
    return read_state(account.publisher, network, document)


def newest_first(copies: Iterable[Copy]) -> list[Document]:
    """All documents that count in any of *copies* or are about to, the newest first."""
    found = {one for copy in copies for one in (copy.current, copy.pending) if one is not None}
    return sorted(found - {NOTHING}, key=lambda one: one.generation, reverse=True)


def check_all_named(view: MemberView, named: Collection[str], lost: Collection[str] = ()) -> None:
    """Refused (rule `clusters`) unless *named* are the network's clusters but lost ones, and but *lost*."""
    whole = {one.name for one in view.content.clusters if one.lost is None} - set(lost)
    if set(named) != whole:
        raise Refused(
            f"{view.network} is in {', '.join(sorted(whole))}, and {', '.join(sorted(named))} is named",
            where="--cluster",
            rule="clusters",
            hint="this is written in all clusters of a network: name them all, and no other",
        )


def _same(choice: Choice, whole: Choice) -> bool:
    return choice.owner == whole.owner and choice.daemon in (None, whole.daemon)
