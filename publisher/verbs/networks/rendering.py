# SPDX-License-Identifier: Apache-2.0
"""`network render`: what each node of a file becomes, as a pod's manifest and as its provider's objects."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from trustedpods.publisher.core.networks.book import book_for
from trustedpods.publisher.core.networks.planning.placing import named, placed
from trustedpods.publisher.core.select import Choice
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.pod import Pod
from trustedpods.publisher.results.networks import NetworkId, NetworkRenderResult, RenderedNode
from trustedpods.publisher.verbs.networks.apply import rows_of_state
from trustedpods.publisher.verbs.networks.files import NetworkFile
from trustedpods.publisher.verbs.networks.opening import choices_of, counting, opened_whole
from trustedpods.publisher.verbs.networks.owners.linked import with_links
from trustedpods.publisher.verbs.offers.render import render


def render_manifests(file: NetworkFile, only: Sequence[str]) -> NetworkRenderResult:
    """The manifest of each node, or of *only* those, with all values in place. Nobody is asked.

    Raises BadInput where the file has none of *only*.
    """
    nodes = tuple(_node(name, file.pods[name]) for name in _asked(file, only))
    return NetworkRenderResult(NetworkId(file.network.founder, file.network.name), nodes)


async def render_objects(
    account: MarketAccount,
    file: NetworkFile,
    known: Mapping[str, Choice],
    only: Sequence[str],
    journal: Journal,
) -> NetworkRenderResult:
    """The same with the objects of each, from the provider of the cluster in which an apply would put it.

    A node's files are empty there, so what is rendered into them does not show; the ways to other nodes do,
    as the network's book has them now. Raises what reading the network's state and `render` raise.
    """
    async with opened_whole(account, file.network, known, journal) as clusters:
        view = counting(account, file.network, await clusters.read())
    file = with_links(file, view.content)
    places = {
        one.name: one.cluster for one in placed(file.nodes, view.content, await rows_of_state(account, view))
    }
    choices, generation = choices_of(view.content), view.document.generation
    epoch = view.content.metadata.epoch
    found = []
    for name in _asked(file, only):
        network, addresses = file.network.name, view.content.addresses
        book = book_for(
            name,
            network,
            file.manifests,
            addresses,
            generation,
            file.external,
            linked=file.others,
            epoch=epoch,
        )
        pod = replace(file.pods[name], book=book)
        made = await render(account.market, pod, account.publisher.key, choices[places[name]], journal)
        found.append(replace(_node(name, pod), provider=made.provider, objects=made.objects))
    return NetworkRenderResult(NetworkId(file.network.founder, file.network.name), tuple(found))


def _asked(file: NetworkFile, only: Sequence[str]) -> list[str]:
    names = [node.name for node in file.nodes]
    if not only:
        return names
    wanted = named(file.nodes, only, "NODE")
    return [name for name in names if name in wanted]


def _node(name: str, pod: Pod) -> RenderedNode:
    manifest = pod.manifest.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return RenderedNode(name, pod.name, manifest)
