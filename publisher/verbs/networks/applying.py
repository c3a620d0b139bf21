# SPDX-License-Identifier: Apache-2.0
"""One change of a network after another, each told in the document before it is begun and after it is done.

So whoever comes next, after a kill at any point, finds in the document which node was touched, and goes on.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from trustedpods.protocol.errors import LocalProtocolError, Refused, TrustedPodsError
from trustedpods.protocol.ids import Address, address_from_bytes
from trustedpods.protocol.networks.content import AddressEntry, Component, NetworkCluster, NetworkContent
from trustedpods.protocol.networks.members import MemberCard, MemberChange
from trustedpods.publisher.core.networks import components
from trustedpods.publisher.core.networks.history import DONE
from trustedpods.publisher.core.networks.plan import NodeStep, WantedNode, pod_name
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.networks.recording import RecordedChange
from trustedpods.publisher.networks.states import MemberView

NOT_AGREED = "not-agreed"
"""The rule by which a removal is refused before its pod is touched."""


class NodePods(Protocol):
    """What is done to the pods of nodes. Both may be repeated whenever it is not known what came of them."""

    async def deploy(self, node: str, cluster: NetworkCluster) -> str | None:
        """Deploy the node's pod in *cluster*, or go on with it; its first address, if it has one."""

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
        url = await self.pods.deploy(node.name, self._cluster(node.cluster))
        content = components.with_component(self._content, components.started(component))
        if url is not None:
            self.urls[node.name] = url
            content = components.with_address(content, self._entry(node.name, url))
        await self.change.write(content, result=result)

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

    def _entry(self, node: str, url: str) -> AddressEntry:
        generation = view_of(self.change).document.generation + 1
        return AddressEntry(component=node, url=url, generation=generation)

    @property
    def _content(self) -> NetworkContent:
        return view_of(self.change).content
