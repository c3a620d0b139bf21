# SPDX-License-Identifier: Apache-2.0
"""The address book of a network: from what providers confirmed to what a node is given of it. Pure."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import urlsplit

from trustedpods.manifests.rendering import ALL_NODES, NODE_FORMS, WrongReference, references
from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.messages.pod import Endpoint
from trustedpods.protocol.networks.book import BookEntry, NetworkBook, Transport
from trustedpods.protocol.networks.content import AddressEntry
from trustedpods.protocol.networks.names import MAX_IDENTITY
from trustedpods.protocol.sealing.public_keys import identity_text
from trustedpods.protocol.sealing.trust_anchors import ANCHOR_FORM, trust_anchor

NOBODY_OUTSIDE: Mapping[str, Sequence[BookEntry]] = MappingProxyType({})
"""Of a file without nodes outside."""


@dataclass(frozen=True, slots=True)
class LinkedNodes:
    """Nodes of other owners, for a book that a pod has: those that are *open*, and those that *closed*.

    `unnamed` are nodes of the book that the pod's manifest does not name, `most` how many of them it takes.
    """

    open: Mapping[str, Sequence[BookEntry]] = field(default_factory=dict)
    closed: Mapping[str, Sequence[BookEntry]] = field(default_factory=dict)
    unnamed: frozenset[str] = frozenset()
    most: int = 0

    @property
    def entries(self) -> Mapping[str, Sequence[BookEntry]]:
        """Of all: a closed node's ports lead nowhere."""
        return {**self.closed, **self.open}


NOBODY_LINKED = LinkedNodes()

_USUAL_PORTS = {"http": 80, "https": 443}
"""Ports that a URL leaves out."""


def address_entries(
    node: str, ends: Sequence[Endpoint], generation: int, identity: bytes = b""
) -> list[AddressEntry]:
    """The book's lines of *node*, as its provider confirmed it and its *identity* in state *generation*.

    One for each scheme of each port of a service: further hosts and paths of it lead to the same. What is no
    address, as a provider may confirm anything, is left out.
    """
    found: dict[tuple[str, int, str], AddressEntry] = {}
    for end in ends:
        try:
            scheme = urlsplit(end.url).scheme
            entry = AddressEntry(
                component=node,
                service=end.service,
                port=end.port,
                url=end.url,
                identity=identity,
                generation=generation,
            )
        except ValueError:
            continue
        found.setdefault((end.service, end.port, scheme), entry)
    return sorted(found.values(), key=lambda entry: entry.place)


def check_identities(
    text: str,
    manifests: Mapping[str, PodManifest],
    external: Mapping[str, Sequence[BookEntry]] = NOBODY_OUTSIDE,
    gone: Collection[str] = (),
) -> None:
    """That nodes whose identity *text* refers to have one, in that form. Raises WrongReference.

    While a node is not there, a line about its identity is left out: so it would be for ever. Of nodes that
    are *gone*, as their owner left, it is to be.
    """
    for one in references(text):
        if one.field not in NODE_FORMS or one.node == ALL_NODES or one.node in gone:
            continue
        curve = {"enodeId": "secp256k1", ANCHOR_FORM: "p256"}.get(one.field)
        if one.node in external:
            there = any(_has_form(entry.identity, one.field) for entry in external[one.node])
            hint = "write `identity` of spec.externalNodes, in hex digits"
        else:
            made = manifests[one.node].identity_key if one.node in manifests else None
            there = made is not None and curve in (None, made.type)
            hint = "one of its keys under `generate` has `identity: true`"
            hint += "" if curve is None else f", of type {curve}"
        if not there:
            what = f"node {one.node!r} is known by nothing that has the form {one.field!r}: {hint}"
            raise WrongReference(what, one.at)


def _has_form(identity: bytes, form: str) -> bool:
    if form == ANCHOR_FORM:
        return bool(identity and trust_anchor(identity, ("node.internal",)))
    return bool(identity and identity_text(identity, form))


def book_for(
    node: str,
    network: str,
    manifests: Mapping[str, PodManifest],
    addresses: Sequence[AddressEntry] = (),
    generation: int = 0,
    external: Mapping[str, Sequence[BookEntry]] = NOBODY_OUTSIDE,
    *,
    linked: Mapping[str, Sequence[BookEntry]] = NOBODY_OUTSIDE,
    epoch: int = 0,
) -> NetworkBook | None:
    """What *node* is given of *network*'s book: each port of each service of each node that it calls.

    *manifests* are those of all nodes of the file, *external* the entries of nodes outside any cluster,
    *linked* those of other owners' nodes, *generation* and *epoch* those of the state. A port that nobody
    confirmed yet has no address. None for a
    node that calls nobody. BadInput where it calls what is not there, or two services of one have the same
    port.
    """
    if node not in manifests or not manifests[node].spec.network.calls:
        return None
    others = sorted((manifests.keys() | external.keys()) - {node})
    where, named = f"node {node}: spec.network.nodes", manifests[node].spec.network.nodes
    for peer in named:
        if peer in external:
            if not external[peer]:
                raise BadInput(
                    f"it calls the node {peer!r}, of which no endpoint says where it is",
                    where=where,
                    hint='write `endpoints: {NAME: "tcp://ADDRESS:PORT"}` of spec.externalNodes',
                )
            continue
        if peer == node or peer not in manifests:
            raise BadInput(
                f"it calls the node {peer!r}, " + ("which it is" if peer == node else "which is not there"),
                where=where,
                hint=f"the network's other nodes: {', '.join(others) or 'none'}",
            )
        if not manifests[peer].exposed_services:
            raise BadInput(f"it calls the node {peer!r}, which exposes no service", where=where)
    entries = [
        entry
        for peer in named
        for entry in (
            external[peer] if peer in external else published_entries(peer, manifests[peer], addresses)
        )
    ]
    entries += more_linked(named, linked, manifests[node].spec.network.linked_nodes)
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


def more_linked(
    named: Collection[str], linked: Mapping[str, Sequence[BookEntry]], most: int
) -> list[BookEntry]:
    """The entries of the first *most* of *linked* nodes that are not *named* already."""
    others = sorted(name for name in linked if name not in named)
    return [entry for name in others[:most] for entry in linked[name]]


def external_entries(name: str, endpoints: Mapping[str, str], identity: str | None) -> list[BookEntry]:
    """The book's entries of the node *name* outside any cluster: each endpoint that is a place to call.

    That is `ADDRESS:PORT` or `HOST:PORT`, of TCP, or with `tcp://` or `udp://` before it. An *identity* of
    hex digits is theirs; what is said otherwise is for templates alone.
    """
    known = bytes.fromhex(identity.removeprefix("0x")) if identity and _HEX.fullmatch(identity) else b""
    entries = []
    for service, text in endpoints.items():
        if (place := _PLACE.fullmatch(text)) is None:
            continue
        transport: Transport = "UDP" if place["transport"] == "udp" else "TCP"
        host, port = place["host"], int(place["port"])
        url = f"{transport.lower()}://{host}:{port}"
        try:
            entries.append(
                BookEntry(
                    node=name,
                    service=service,
                    port=port,
                    transport=transport,
                    address=host,
                    published=port,
                    url=url,
                    identity=known,
                )
            )
        except ValueError:  # a name that no service has, or a port that is none
            continue
    return entries


_HEX = re.compile(rf"(?:0x)?(?:[0-9a-fA-F]{{2}}){{1,{MAX_IDENTITY}}}")
_PLACE = re.compile(r"(?:(?P<transport>tcp|udp)://)?(?P<host>[a-z0-9][-a-z0-9.]{0,252}):(?P<port>[0-9]{1,5})")


def renewed(
    book: NetworkBook,
    addresses: Sequence[AddressEntry],
    generation: int,
    external: Collection[str] = (),
    others: LinkedNodes = NOBODY_LINKED,
    *,
    epoch: int = 0,
) -> NetworkBook:
    """*book* with what *addresses*, of the state's *generation* and *epoch*, say of its entries now.

    The state knows nothing of *external* nodes, so theirs stay; *others* are nodes of other owners. BadInput
    where all of them cannot stand in one book.
    """
    named = [node for node in book.nodes if node not in others.unnamed]
    entries: list[BookEntry] = []
    for node in named:
        known = _newest(node, addresses)
        if node in others.entries and node not in external:
            entries += others.entries[node]
            continue
        for one in book.of(node):
            blank = BookEntry(node=one.node, service=one.service, port=one.port, transport=one.transport)
            found = known.get((one.service, one.port, one.transport))
            kept = one if node in external else blank
            entries.append(kept if found is None or node in external else _published(blank, found))
    entries += more_linked(named, others.open, others.most)
    entries.sort(key=lambda entry: entry.place)
    try:
        return NetworkBook(
            network=book.network, node=book.node, epoch=epoch, generation=generation, entries=entries
        )
    except ValueError as wrong:
        text = f"the address book of {book.node} cannot be written anew: {_first_line(wrong)}"
        raise BadInput(text, where=f"network {book.network}") from None


def dependents(manifests: Mapping[str, PodManifest], changed: Iterable[str]) -> list[str]:
    """The nodes that are given entries of any of the *changed* ones, in order of names."""
    wanted = set(changed)
    return sorted(name for name, one in manifests.items() if wanted & set(one.spec.network.nodes))


_Newest = dict[tuple[str, int, Transport], AddressEntry]


def _newest(node: str, addresses: Sequence[AddressEntry]) -> _Newest:
    """The newest line of each port of *node*'s services."""
    known: _Newest = {}
    for entry in addresses:
        if entry.component == node and entry.service:
            place = (entry.service, entry.port, _transport(entry.url))
            if place not in known or known[place].generation < entry.generation:
                known[place] = entry
    return known


def published_entries(
    node: str, manifest: PodManifest, addresses: Sequence[AddressEntry]
) -> Iterator[BookEntry]:
    """The entries of *node*: each port that it exposes, and where that is published, if it is known."""
    known = _newest(node, addresses)
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
