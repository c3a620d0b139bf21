# SPDX-License-Identifier: Apache-2.0
"""The changes of a network, each told in the document before it is begun and after it is done.

So whoever comes next, after a kill at any point, finds in the document which node was touched, and goes on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import trio

from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.protocol.errors import LocalProtocolError, Refused, TrustedPodsError
from trustedpods.protocol.ids import Address, address_from_bytes
from trustedpods.protocol.messages.pod import Endpoint
from trustedpods.protocol.networks.book import BookEntry, NetworkBook
from trustedpods.protocol.networks.content import Component, NetworkCluster, NetworkContent
from trustedpods.protocol.networks.members import MemberCard, MemberChange
from trustedpods.publisher.core.networks import book, components
from trustedpods.publisher.core.networks.history import DONE
from trustedpods.publisher.core.networks.plan import NodeStep, WantedNode, pod_name
from trustedpods.publisher.core.networks.planning.ordering import Ordering
from trustedpods.publisher.core.networks.probes import NodeProbe, ProbeAnswer
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.networks.recording import RecordedChange
from trustedpods.publisher.networks.states import MemberView
from trustedpods.publisher.parallel import open_nursery

NOT_AGREED = "not-agreed"
"""The rule by which a removal is refused before its pod is touched."""


@dataclass(frozen=True, slots=True)
class ConfirmedNode:
    """Where a node's services are reached, and what it is known by; empty where that is nothing."""

    endpoints: Sequence[Endpoint] = ()
    identity: bytes = b""


class NodePods(Protocol):
    """What is done to the pods of nodes. All may be repeated whenever it is not known what came of them."""

    async def deploy(self, node: str, cluster: NetworkCluster, book: NetworkBook | None) -> ConfirmedNode:
        """Deploy the node's pod in *cluster*, or go on with it; what its provider confirms.

        *book* is what it is given of the address book; None where it calls no node.
        """

    async def tell(self, node: str, book: NetworkBook) -> None:
        """Bring a newer *book* to the node's pod, which runs."""

    async def remove(self, node: str, cluster: NetworkCluster) -> None:
        """Remove the node's pod from *cluster*; one that is gone already is no error.

        Refused (rule `not-agreed`), with the pod not touched, where volumes of it would be kept.
        """

    async def leave(self, node: str, cluster: NetworkCluster) -> None:
        """Give notice on what pays for the node's pod in *cluster*, which is lost: nobody there is asked."""

    async def ask(self, probe: NodeProbe) -> ProbeAnswer:
        """Run the probe's command in its node's pod. Raises what `exec` does."""

    async def last_lines(self, node: str) -> Sequence[str]:
        """What the node's pod wrote last, for somebody who asks why it failed; nothing if nobody knows."""


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
    external: Mapping[str, Sequence[BookEntry]] = field(default_factory=dict)
    linked: Mapping[str, Sequence[BookEntry]] = field(default_factory=dict)
    untouched: frozenset[str] = frozenset()
    """Nodes that are given no book: they call what nobody says any more where it is."""

    urls: dict[str, str] = field(default_factory=dict)
    _wanted: dict[str, WantedNode] = field(default_factory=dict)
    _untold: list[TrustedPodsError] = field(default_factory=list)
    _left: int = 0
    _writing: trio.Lock = field(default_factory=trio.Lock)
    """Each write stands on the one before; side by side they would forget each other."""

    async def members(
        self, changes: Sequence[MemberChange], cards: Sequence[MemberCard], result: str | None = None
    ) -> None:
        """Let the team change; the next document is sealed to the new one. *result* as of `step`."""
        await self.change.write(self._content, changes=changes, cards=cards, result=result)

    async def nodes(self, steps: Sequence[NodeStep], nodes: Sequence[WantedNode]) -> None:
        """Do all of *steps*, side by side where `Ordering` lets them; with the last one the command is done.

        Where one fails, no further one is begun, those that run come to their end, and the first failure is
        raised, with its node named. At the end all *nodes* that call others have been told the newest
        addresses, as an earlier command, or somebody else's, may not have done so. One that cannot be told
        stops nobody; that is raised at the end.
        """
        self._wanted = wanted = {node.name: node for node in nodes}
        ordering, failed = Ordering.of(steps, nodes), list[TrustedPodsError]()
        self._left = len(steps)

        def begin() -> None:
            nonlocal ordering
            ordering, numbers = ordering.begin()
            for number in numbers:
                nursery.start_soon(run, number)

        async def run(number: int) -> None:
            nonlocal ordering
            step = steps[number]
            try:
                await self.step(step, None if step.doing == "remove" else wanted[step.node])
            except TrustedPodsError as error:
                failed.append(error)
                if len(failed) > 1:
                    self.journal.show.warning(f"{error.where}: {error.what}")
                return
            ordering = ordering.ended(number)
            if not failed:
                begin()

        async with open_nursery() as nursery:
            begin()
        if not steps:
            async with self._writing:
                await self._tell(self._to_tell(self._content, list(self.manifests)))
        if failed or self._untold:
            raise (failed or self._untold)[0]

    async def step(self, step: NodeStep, wanted: WantedNode | None) -> None:
        """Do what *step* says to one node. Raises what it failed with, with the node and its last lines."""
        self.journal.event("node", f"node {step.node}: {step.doing} in {step.cluster}, {step.why}")
        try:
            if wanted is None:
                await self._remove(step.node)
            else:
                await self._deploy(wanted)
        except TrustedPodsError as error:
            error.came_of(f"node {step.node}")
            if wanted is not None:
                for line in await self.pods.last_lines(step.node):
                    self.journal.show.line(f"node {step.node} wrote: {line}")
            raise

    async def _deploy(self, node: WantedNode) -> None:
        component = components.requested(node, self.who)
        await self._let_be(component)
        given = self._book(node.name)
        confirmed = await self.pods.deploy(node.name, self._cluster(node.cluster), given)
        async with self._writing:
            content = components.with_component(self._content, components.started(component))
            if ends := confirmed.endpoints:
                self.urls[node.name] = ends[0].url
            entries = book.address_entries(node.name, ends, self._next, confirmed.identity)
            content = components.with_addresses(content, node.name, entries)
            told = book.dependents(self.manifests, [node.name])
            newer = self._book(node.name, content)
            if given is not None and newer is not None and given.entries != newer.entries:
                told = [*told, node.name]  # others came while it was deployed, and did not tell it
            await self._write_last(content, told)

    def _to_tell(self, content: NetworkContent, nodes: Sequence[str]) -> list[str]:
        """Those of *nodes* that call others, are ours and run as the file has them, as *content* says.

        Others get the book with their own deploy.
        """
        known = [one for one in nodes if one in self.manifests and one not in self.untouched]
        calling = [one for one in known if self.manifests[one].spec.network.calls]
        found = (components.component_of(content, node) for node in calling)
        return [one.name for one in found if one is not None and self._takes_books(one)]

    async def _tell(self, nodes: Sequence[str]) -> None:
        """Let *nodes* know the book of the state that stands: two books of one generation are equal.

        Where the file says of nodes outside any cluster what it did not when a node was told that
        generation, another one is written. Who cannot be told is warned of, and told by the next apply.
        """
        failed = await self._tell_each(nodes)
        others = [node for node, error in failed.items() if error.rule == "other-book"]
        if others:
            await self.change.write(self._content)
            failed = {node: error for node, error in failed.items() if node not in others}
            failed |= await self._tell_each(others)
        for node, error in failed.items():
            error.came_of(f"node {node}")
            error.hint = error.hint or "`trustedpods network apply` again tells it the others' addresses"
            self._untold.append(error)
            self.journal.show.warning(f"{error}: it does not know where the others are now")

    async def _tell_each(self, nodes: Sequence[str]) -> dict[str, TrustedPodsError]:
        """What those of *nodes* failed with that could not be told."""
        failed: dict[str, TrustedPodsError] = {}
        for node in nodes:
            given = self._book(node)
            if given is not None:
                try:
                    await self.pods.tell(node, given)
                except TrustedPodsError as error:
                    failed[node] = error
        return failed

    def _takes_books(self, found: Component) -> bool:
        """Whether it is ours, serves as the file has it, and its cluster was not given up."""
        wanted = self._wanted.get(found.name)
        if wanted is None or found.phase != "started" or address_from_bytes(found.publisher) != self.who:
            return False
        placed = found.cluster == wanted.cluster and found.manifest_digest == wanted.digest
        return placed and self._cluster(found.cluster).lost is None

    def _book(self, node: str, content: NetworkContent | None = None) -> NetworkBook | None:
        """What *node* is given of the book of *content*, or of the state that stands."""
        view = view_of(self.change)
        state, generation = content or view.content, view.document.generation
        return book.book_for(
            node,
            view.network.name,
            self.manifests,
            state.addresses,
            generation,
            self.external,
            linked=self.linked,
            epoch=state.metadata.epoch,
        )

    @property
    def _next(self) -> int:
        """The generation that the next write makes."""
        return view_of(self.change).document.generation + 1

    async def _remove(self, name: str) -> None:
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
            text = f"node {name} is left in cluster {component.cluster}, which was declared lost"
            self.journal.show.warning(text)
            await self.pods.leave(name, self._cluster(component.cluster))
        async with self._writing:
            await self._write_last(components.without_component(self._content, name), [])

    async def _remove_pod(self, component: Component) -> None:
        before = self._content
        await self._let_be(components.stopping(component))
        try:
            await self.pods.remove(component.name, self._cluster(component.cluster))
        except Refused as error:
            if error.rule == NOT_AGREED:
                async with self._writing:
                    await self.change.write(components.put_back(self._content, before, component.name))
            raise

    async def _write_last(self, content: NetworkContent, told: Sequence[str]) -> None:
        """Write what a step ends with, then tell nodes of it: with the last, all are told, and it is done.

        Who is killed between the two left nothing for good: any later apply, and `watch`, tells them.
        """
        self._left -= 1
        nodes = self._to_tell(content, told if self._left else list(self.manifests))
        await self.change.write(content, result=None if self._left or self._untold or nodes else DONE)
        await self._tell(nodes)

    async def _let_be(self, component: Component) -> None:
        """Write that *component* is so; nothing where the one before wrote it and came no further."""
        async with self._writing:
            if components.component_of(self._content, component.name) != component:
                await self.change.write(components.with_component(self._content, component))

    def _cluster(self, name: str) -> NetworkCluster:
        return next(one for one in self._content.clusters if one.name == name)

    @property
    def _content(self) -> NetworkContent:
        return view_of(self.change).content
