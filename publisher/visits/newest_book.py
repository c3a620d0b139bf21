# SPDX-License-Identifier: Apache-2.0
"""After a reboot a node begins with the newest addresses that its owner knows, not with those of its deploy.

A node may need the others to become ready. With addresses from before they moved it would never be, and a
node that does not serve takes no address book.
"""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from trustedpods.protocol.errors import TrustedPodsError
from trustedpods.protocol.networks.book import NetworkBook
from trustedpods.publisher.core.networks.owners.nodes import without_refused
from trustedpods.publisher.state.pod_records import PodRecord

UNTAKEN = frozenset({"closed-node", "epoch"})
"""Rules by which a provider refuses a book, and so a bundle that has it, before anything is begun."""


@dataclass(frozen=True, slots=True)
class GivenBook:
    """An address book for a node, which may go without closed ones of *theirs*, other owners' nodes."""

    book: NetworkBook
    theirs: Collection[str] = ()

    def after(self, error: TrustedPodsError) -> "GivenBook | None":
        """What is left to be tried after a provider's *error*; None for the book of before."""
        left = without_refused(self.book, error, self.theirs)
        return None if left is None else GivenBook(left, self.theirs)


NewestBook = Callable[[PodRecord], Awaitable[GivenBook | None]]
"""Says what the node's pod is to know by now; None where nobody can say, or it is no node."""
