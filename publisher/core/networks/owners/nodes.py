# SPDX-License-Identifier: Apache-2.0
"""Nodes of other owners as they stand in one's own address book: `ALIAS-NODE`. Pure."""

from collections.abc import Collection, Mapping, Sequence

from trustedpods.protocol.errors import BadInput, Refused, RemoteProtocolError, TrustedPodsError
from trustedpods.protocol.networks.book import BookEntry, NetworkBook
from trustedpods.protocol.networks.owners.exports import NetworkExport, read_export
from trustedpods.protocol.networks.owners.links import OwnerLink
from trustedpods.publisher.core.networks.owners.links import OPEN

MAX_BOOK_NODE = 50
"""Letters of a node's name in a book: it becomes the name of a Service, with a beginning."""


def nodes_of(links: Sequence[OwnerLink]) -> dict[str, list[BookEntry]]:
    """The entries of each node of all open links, by the name that it has here.

    Raises what `read_export` raises: who writes the state cannot make nodes for others.
    """
    found: dict[str, list[BookEntry]] = {}
    for link in links:
        if link.state in OPEN:
            found |= entries_of(link.alias, read_export(link.export))
    return found


def standing_nodes_of(links: Sequence[OwnerLink]) -> dict[str, list[BookEntry]]:
    """As `nodes_of`, without links that it raises for: what is said of a change that takes them out."""
    found: dict[str, list[BookEntry]] = {}
    for link in links:
        try:
            found |= nodes_of([link])
        except (BadInput, Refused, RemoteProtocolError):
            continue
    return found


def closed_nodes_of(links: Sequence[OwnerLink]) -> dict[str, list[BookEntry]]:
    """The same of closed links that had nodes: ports that lead nowhere, for whoever still names them.

    Who is invited anew may have a longer alias: names that are too long with it are left out.
    """
    found: dict[str, list[BookEntry]] = {}
    for link in links:
        if link.state not in OPEN and link.export:
            for node in read_export(link.export).nodes:
                name = f"{link.alias}-{node.name}"
                if len(name) <= MAX_BOOK_NODE:
                    found[name] = [closed(port.entry(name, node.identity)) for port in node.ports]
    return found


def closed(entry: BookEntry) -> BookEntry:
    """The port without the place where it was."""
    return BookEntry(node=entry.node, service=entry.service, port=entry.port, transport=entry.transport)


def without_refused(
    book: NetworkBook, refused: TrustedPodsError, theirs: Collection[str]
) -> NetworkBook | None:
    """*book*, in which those nodes are closed that a provider *refused* (rule `closed-node`).

    None where it refused anything else, or a node that is none of *theirs*, the other owners'. Each of them
    had an address before, so who asks again with what is left comes to an end.
    """
    named = set((refused.where or "").split(", "))
    had = {entry.node for entry in book.entries if entry.address}
    if refused.rule != "closed-node" or not named <= had & set(theirs):
        return None
    entries = [closed(entry) if entry.node in named else entry for entry in book.entries]
    return book.model_copy(update={"entries": entries})


def entries_of(alias: str, export: NetworkExport) -> dict[str, list[BookEntry]]:
    """The entries of each exported node. BadInput where a name is too long with the alias."""
    found = {}
    for node in export.nodes:
        name = f"{alias}-{node.name}"
        if len(name) > MAX_BOOK_NODE:
            raise BadInput(
                f"{name!r} has more than {MAX_BOOK_NODE} letters", where="--as", hint="take a shorter alias"
            )
        found[name] = [port.entry(name, node.identity) for port in node.ports]
    return found


def check_apart(own: Mapping[str, object], others: Mapping[str, object]) -> None:
    """BadInput where one of the *own* nodes is called as one of another owner's."""
    if both := sorted(own.keys() & others.keys()):
        raise BadInput(
            f"the node {both[0]!r} is called as another owner's: give it another name, or him another alias",
            where="spec.nodes",
        )
