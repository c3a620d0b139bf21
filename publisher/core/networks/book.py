# SPDX-License-Identifier: Apache-2.0
"""The address book of a network: from what providers confirmed to what a node is given of it. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from urllib.parse import urlsplit

from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.messages.pod import Endpoint
from trustedpods.protocol.networks.book import BookEntry, NetworkBook, Transport
from trustedpods.protocol.networks.content import AddressEntry

_USUAL_PORTS = {"http": 80, "https": 443}
"""Ports that a URL leaves out."""


def address_entries(node: str, ends: Sequence[Endpoint], generation: int) -> list[AddressEntry]:
    """The book's lines of *node*, as its provider confirmed it in state *generation*.

    One for each scheme of each port of a service: further hosts and paths of it lead to the same. What is no
    address, as a provider may confirm anything, is left out.
    """
    found: dict[tuple[str, int, str], AddressEntry] = {}
    for end in ends:
        try:
            scheme = urlsplit(end.url).scheme
            entry = AddressEntry(
                component=node, service=end.service, port=end.port, url=end.url, generation=generation
            )
        except ValueError:
            continue
        found.setdefault((end.service, end.port, scheme), entry)
    return sorted(found.values(), key=lambda entry: entry.place)


def book_for(
    node: str,
    network: str,
    manifests: Mapping[str, PodManifest],
    addresses: Sequence[AddressEntry] = (),
    generation: int = 0,
    epoch: int = 0,
) -> NetworkBook | None:
    """What *node* is given of *network*'s book: each port of each service of each node that it calls.

    *manifests* are those of all nodes of the file, *generation* and *epoch* those of the state. A port that
    nobody confirmed yet has no address. None for a node that calls nobody. BadInput where it calls what is
    not there, or two services of one have the same port.
    """
    if node not in manifests or not manifests[node].spec.network.nodes:
        return None
    where, named = f"node {node}: spec.network.nodes", manifests[node].spec.network.nodes
    for peer in named:
        if peer == node or peer not in manifests:
            raise BadInput(
                f"it calls the node {peer!r}, " + ("which it is" if peer == node else "which is not there"),
                where=where,
                hint=f"the network's other nodes: {', '.join(sorted(manifests.keys() - {node})) or 'none'}",
            )
        if not manifests[peer].exposed_services:
            raise BadInput(f"it calls the node {peer!r}, which exposes no service", where=where)
    entries = [entry for peer in named for entry in _entries(peer, manifests[peer], addresses)]
    try:
        return NetworkBook(
            network=network,
            node=node,
            epoch=epoch,
            generation=generation,
            entries=sorted(entries, key=lambda entry: entry.place),
        )
    except ValueError as wrong:
        raise BadInput(f"the address book cannot be given to it: {_first_line(wrong)}", where=where) from None


def dependents(manifests: Mapping[str, PodManifest], changed: Iterable[str]) -> list[str]:
    """The nodes that are given entries of any of the *changed* ones, in order of names."""
    wanted = set(changed)
    return sorted(name for name, one in manifests.items() if wanted & set(one.spec.network.nodes))


def _entries(node: str, manifest: PodManifest, addresses: Sequence[AddressEntry]) -> Iterator[BookEntry]:
    known: dict[tuple[str, int, Transport], AddressEntry] = {}
    for entry in addresses:
        if entry.component == node and entry.service:
            place = (entry.service, entry.port, _transport(entry.url))
            if place not in known or known[place].generation < entry.generation:
                known[place] = entry
    for service in manifest.exposed_services:
        for port in service.ports:
            transport: Transport = "UDP" if port.protocol == "UDP" else "TCP"
            found = known.get((service.name, port.port, transport))
            blank = BookEntry(node=node, service=service.name, port=port.port, transport=transport)
            yield blank if found is None else _published(blank, found)


def _published(blank: BookEntry, found: AddressEntry) -> BookEntry:
    """The entry with what was confirmed of it; as it was where that names no place that can be called.

    Another member's client wrote it, so it may be any text.
    """
    try:
        parts = urlsplit(found.url)
        port = parts.port or _USUAL_PORTS.get(parts.scheme)
        if not parts.hostname or port is None:
            return blank
        update = {"address": parts.hostname, "published": port, "url": found.url, "identity": found.identity}
        return BookEntry.model_validate(blank.model_dump() | update)
    except ValueError:
        return blank


def _transport(url: str) -> Transport:
    return "UDP" if url.lower().startswith("udp:") else "TCP"


def _first_line(wrong: ValueError) -> str:
    errors = getattr(wrong, "errors", None)
    return str(errors(include_url=False)[0]["msg"]) if errors else str(wrong)
