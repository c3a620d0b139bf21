# SPDX-License-Identifier: Apache-2.0
"""What a provider takes of a network's address book, and what of it it opens. Pure.

The book comes from a tenant: it may name the operator's own machines, or whatever else is closed to pods.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network

from trustedpods.manifests.spec.egress import Network
from trustedpods.protocol.errors import BadInput, Refused
from trustedpods.protocol.limits import SMTP_PORTS
from trustedpods.protocol.networks.book import BookEntry, NetworkBook
from trustedpods.protocol.networks.documents import check_epoch, is_absurd
from trustedpods.protocol.sealing.public_keys import is_identity

NODE_PORTS = range(30_000, 32_768)
"""The ports that Kubernetes gives to services at nodes by default. In networks that are closed otherwise no
others are opened: a book may name the provider's own machines, with their API server and kubelets."""

CLOSED_NODE = "closed-node"
"""The rule by which a book is refused for nodes at addresses that are closed here; `where` names them."""

MAX_NAMED = 8
"""Nodes that one refusal names: who leaves them out is told of the next ones."""


def check_book(
    book: NetworkBook | None, network: Network, closed: Sequence[str], peers: Sequence[str], now: int
) -> None:
    """Whether *book* is what a pod of this *network* must have; node ports in *peers* are open all the same.

    BadInput where it is not, Refused (rule `closed-node`, with the nodes' names as `where`) where addresses
    of it are *closed* to pods, (rule `epoch`) where its epoch is far ahead of *now*, the daemon's clock in
    Unix seconds.
    """
    if not fits(book, network):
        raise BadInput(
            "the address book is not of the nodes that the pod calls",
            where="bundle.book",
            hint="spec.network.nodes is for nodes of a network: `trustedpods network apply` deploys them",
        )
    if book is None:
        return
    check_epoch(None, book.epoch, now)
    for entry in book.entries:
        if not is_identity(entry.identity):
            raise BadInput(
                f"what node {entry.node} is known by is a key in another form than DER's one",
                where="bundle.book",
            )
    refused: dict[str, str] = {}
    for entry in opened(book):
        if why := _why_closed(entry, closed, peers):
            refused.setdefault(entry.node, f"node {entry.node} at {entry.address}:{entry.published}: {why}")
    if refused:
        named = list(refused)[:MAX_NAMED]
        raise Refused(
            "; ".join(refused[name] for name in named),
            where=", ".join(named),
            rule=CLOSED_NODE,
            hint="a provider's operator opens other providers' node ports by `peers` of [exposure]",
        )


def _why_closed(entry: BookEntry, closed: Sequence[str], peers: Sequence[str]) -> str:
    """Why nothing is opened for *entry*; empty where it is."""
    address = IPv4Address(entry.address)
    at_peer = entry.published in NODE_PORTS and any(address in IPv4Network(one) for one in peers)
    for text in closed:
        if address in IPv4Network(text) and not at_peer:
            return f"this provider keeps {text} closed"
    mails = entry.transport == "TCP" and entry.published in SMTP_PORTS
    return "no node of a network is called at a port of mail" if mails else ""


def fits(book: NetworkBook | None, network: Network) -> bool:
    """Whether *book* has the nodes that the pod names, and no more of other owners than it asks for."""
    if book is None:
        return network.calls == 0
    given = set(book.nodes)
    return given >= set(network.nodes) and len(given) <= network.calls


def opened(book: NetworkBook) -> list[BookEntry]:
    """The entries that name an address: those alone are opened. A host's name is no address."""
    return [entry for entry in book.entries if is_address(entry.address)]


def is_address(text: str) -> bool:
    """Whether *text* is an IPv4 address."""
    try:
        IPv4Address(text)
    except ValueError:
        return False
    return True


def as_it_counts(book: NetworkBook | None, now: int) -> NetworkBook | None:
    """A book that was taken before: one of an absurd epoch counts as the oldest, so that any other passes."""
    if book is None or not is_absurd(book.epoch, now):
        return book
    return book.model_copy(update={"epoch": 0, "generation": 0})


def newer(kept: NetworkBook | None, given: NetworkBook | None) -> NetworkBook | None:
    """Which of two books of one node counts: of two that are as old *given*, unless *kept* is more of it."""
    if kept is None or given is None:
        return kept or given
    if given.age == kept.age and adds_to(given, kept):
        return kept
    return given if given.age >= kept.age else kept


def adds_to(before: NetworkBook, book: NetworkBook) -> bool:
    """Whether *book* is *before* with addresses where that has nothing, out of the same state.

    So is a whole book after one that left nodes out at addresses which were closed here then. Nothing is an
    entry without an identity too: a node is known by the one that it has for the whole generation.
    """
    if (before.network, before.node, before.age) != (book.network, book.node, book.age):
        return False
    if len(before.entries) != len(book.entries):
        return False
    return all(
        one == other or (one == _closed(one) and other.address and one.place == other.place)
        for one, other in zip(before.entries, book.entries, strict=True)
    )


def _closed(entry: BookEntry) -> BookEntry:
    """The port alone, as it stands in a book while nobody has confirmed it, or where it is closed."""
    return BookEntry(node=entry.node, service=entry.service, port=entry.port, transport=entry.transport)
