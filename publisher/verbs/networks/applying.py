# SPDX-License-Identifier: Apache-2.0
"""One change of a network after another, each told in the document before it is begun and after it is done.

So whoever comes next, after a kill at any point, finds in the document which node was touched, and goes on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.protocol.errors import LocalProtocolError, Refused, TrustedPodsError
from trustedpods.protocol.ids import Address, address_from_bytes
from trustedpods.protocol.messages.pod import Endpoint
from trustedpods.protocol.networks.book import NetworkBook
from trustedpods.protocol.networks.content import Component, NetworkCluster, NetworkContent
from trustedpods.protocol.networks.members import MemberCard, MemberChange
from trustedpods.publisher.core.networks import book, components
from trustedpods.publisher.core.networks.history import DONE
from trustedpods.publisher.core.networks.plan import NodeStep, WantedNode, pod_name
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.networks.recording import RecordedChange
from trustedpods.publisher.networks.states import MemberView

NOT_AGREED = "not-agreed"
"""The rule by which a removal is refused before its pod is touched."""


class NodePods(Protocol):
    """What is done to the pods of nodes. Both may be repeated whenever it is not known what came of them."""

    async def deploy(
        self, node: str, cluster: NetworkCluster, book: NetworkBook | None
    ) -> Sequence[Endpoint]:
        """Deploy the node's pod in *cluster*, or go on with it; where its services are reached.

        *book* is what it is given of the address book; None where it calls no node.
        """

    async def tell(self, node: str, book: NetworkBook) -> None:
        """Bring a newer *book* to the node's pod, which runs."""

    async def remove(self, node: str) -> None:
        """Remove the node's pod; one that is gone already is no error.

        Refused (rule `not-agreed`), with the pod not touched, where volumes of it would be kept.
        """


def view_of(change: RecordedChange) -> MemberView:
    """What stands on all copies, of a network that has a document."""
    if change.state is None:
        raise LocalProtocolError("this network has no document yet")
    return change.state


@dataclass
class Applying:
    """A network whose leases are held, as *who* changes it and its `pods`."""

    who: Address
    change: RecordedChange
    pods: NodePods
    journal: Journal
    manifests: Mapping[str, PodManifest] = field(default_factory=dict)
    urls: dict[str, str] = field(default_factory=dict)

    async def members(
        self, changes: Sequence[MemberChange], cards: Sequence[MemberCard], result: str | None = None
    ) -> None:
        """Let the team change; the next document is sealed to the new one. *result* as of `step`."""
        await self.change.write(self._content, changes=changes, cards=cards, result=result)

    async def nodes(self, steps: Sequence[NodeStep], nodes: Sequence[WantedNode]) -> None:
        """Do all of *steps*, one after another; with the last one the command is done."""
        wanted = {node.name: node for node in nodes}
        for number, step in enumerate(steps, 1):
            result = DONE if number == len(steps) else None
            await self.step(step, None if step.doing == "remove" else wanted[step.node], result)

    async def step(self, step: NodeStep, wanted: WantedNode | None, result: str | None) -> None:
        """Do what *step* says to one node; *result* where the command has come to its end with it.

        Raises what it failed with, with the node named.
        """
        self.journal.event("node", f"node {step.node}: {step.doing} in {step.cluster}, {step.why}")
        try:
            if wanted is None:
                await self._remove(step.node, result)
            else:
                await self._deploy(wanted, result)
        except TrustedPodsError as error:
            error.where = f"node {step.node}" + (f": {error.where}" if error.where else "")
            raise

    async def _deploy(self, node: WantedNode, result: str | None) -> None:
        component = components.requested(node, self.who)
        await self._let_be(component)
        ends = await self.pods.deploy(node.name, self._cluster(node.cluster), self._book(node.name))
        content = components.with_component(self._content, components.started(component))
        if ends:
            self.urls[node.name] = ends[0].url
        entries = book.address_entries(node.name, ends, self._next)
        content = components.with_addresses(content, node.name, entries)
        await self._tell(content, book.dependents(self.manifests, [node.name]))
        await self.change.write(content, result=result)

    async def tell_all(self) -> None:
        """Bring the book to all nodes that call others: somebody else may have changed it since."""
        await self._tell(self._content, list(self.manifests))

    async def _tell(self, content: NetworkContent, nodes: Sequence[str]) -> None:
        """Let those of *nodes* that run, and are ours, have the book as *content* has it.

        Before that is written: so nobody who goes on after a kill takes it for done.
        """
        for node in nodes:
            found, given = components.component_of(content, node), self._book(node, content)
            ours = found is not None and address_from_bytes(found.publisher) == self.who
            if given is None or found is None or not ours or found.phase != "started":
                continue
            try:
                await self.pods.tell(node, given)
            except TrustedPodsError as error:
                error.where = f"node {node}" + (f": {error.where}" if error.where else "")
                raise

    def _book(self, node: str, content: NetworkContent | None = None) -> NetworkBook | None:
        """What *node* is given of the book of *content*, or of the state that stands."""
        state, name = content or self._content, view_of(self.change).network.name
        return book.book_for(node, name, self.manifests, state.addresses, self._next)

    @property
    def _next(self) -> int:
        """The generation that the next write makes."""
        return view_of(self.change).document.generation + 1

    async def _remove(self, name: str, result: str | None) -> None:
        component = components.component_of(self._content, name)
        assert component is not None
        publisher = address_from_bytes(component.publisher)
        if publisher != self.who:  # the plan lets it go only where he is no member any more
            pod = pod_name(view_of(self.change).network, name)
            self.journal.show.warning(
                f"node {name} is dropped; its pod {pod} is {publisher}'s, who left the team, and may run on"
            )
        elif self._cluster(component.cluster).lost is None:
            await self._remove_pod(component)
        else:
            hint = (
                f"`trustedpods close {pod_name(view_of(self.change).network, name)}` takes its deposit back"
            )
            self.journal.show.warning(f"node {name} is left in a cluster that was declared lost; {hint}")
        await self.change.write(components.without_component(self._content, name), result=result)

    async def _remove_pod(self, component: Component) -> None:
        before = self._content
        await self._let_be(components.stopping(component))
        try:
            await self.pods.remove(component.name)
        except Refused as error:
            if error.rule == NOT_AGREED:
                await self.change.write(before)
            raise

    async def _let_be(self, component: Component) -> None:
        """Write that *component* is so; nothing where the one before wrote it and came no further."""
        if components.component_of(self._content, component.name) != component:
            await self.change.write(components.with_component(self._content, component))

    def _cluster(self, name: str) -> NetworkCluster:
        return next(one for one in self._content.clusters if one.name == name)

    @property
    def _content(self) -> NetworkContent:
        return view_of(self.change).content
