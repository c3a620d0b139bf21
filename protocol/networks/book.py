# SPDX-License-Identifier: Apache-2.0
"""What one node is given of its network's address book: the nodes that it calls, port by port. Pure.

A network's document is sealed to its members, so the provider that runs a node knows of the book what the
node's publisher gives it, and believes none of it: `provider/core/networks/book.py` says what it opens.
"""

from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from trustedpods.protocol.messages.base import U64, Message
from trustedpods.protocol.networks.names import MAX_ADDRESSES, MAX_IDENTITY, Name, PodName

Transport = Literal["TCP", "UDP"]

NAMES_END: Final = "internal"
"""The last label of the names of nodes, as of one's own pods: kept for such use by ICANN."""

AS_BEFORE: Final = "as before"
"""How a provider's answer ends to a book that the pod has already."""

_URL = r"^([a-z]{3,5}://[-A-Za-z0-9.:/_~%]{1,500})?$"
"""What stands in files and variables of other people's nodes: nothing that ends a line or a quotation."""

_HOST = r"^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*)?$"


class BookEntry(Message):
    """One port of one service of a node that is called.

    `port` is the service's own, at which it is reached under its node's stable name. `address` (IPv4, or a
    host's name) and `published` are where its provider publishes it, `url` is all of that; they are empty and
    0 while nobody has confirmed them.
    """

    node: PodName
    service: PodName
    port: Annotated[int, Field(ge=1, le=65535)]
    transport: Transport
    address: Annotated[str, Field(max_length=253, pattern=_HOST)] = ""
    published: Annotated[int, Field(ge=0, le=65535)] = 0
    url: Annotated[str, Field(pattern=_URL)] = ""
    identity: Annotated[bytes, Field(max_length=MAX_IDENTITY)] = b""

    @property
    def place(self) -> tuple[str, str, int, str]:
        """What no two entries have in common, and the order in which they stand."""
        return self.node, self.service, self.port, self.transport

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if len({bool(self.address), bool(self.published), bool(self.url)}) != 1:
            raise ValueError("an address has a port and a URL")
        return self


class NetworkBook(Message):
    """The book as the node `node` of `network` is given it, out of the state's `generation`."""

    kind: Literal["network-book"] = "network-book"
    network: Name
    node: PodName
    generation: U64
    entries: Annotated[list[BookEntry], Field(max_length=MAX_ADDRESSES)]

    @property
    def nodes(self) -> list[str]:
        """The nodes that are called."""
        return list(dict.fromkeys(entry.node for entry in self.entries))

    def of(self, node: str) -> list[BookEntry]:
        """The ports of *node*."""
        return [entry for entry in self.entries if entry.node == node]

    def name_of(self, node: str) -> str:
        """The name of *node* in every cluster of the network; it stays when the node's addresses change."""
        return f"{node}.{self.network}.{NAMES_END}"

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        places = [entry.place for entry in self.entries]
        if places != sorted(set(places)):
            raise ValueError("entries must be in order, each once")
        ports = [(entry.node, entry.transport, entry.port) for entry in self.entries]
        if len(set(ports)) != len(ports):
            raise ValueError("two services of one node have the same port: they share the node's stable name")
        if self.node in self.nodes:
            raise ValueError("a node calls itself")
        return self
