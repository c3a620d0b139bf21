# SPDX-License-Identifier: Apache-2.0
"""The components of a network's state as nodes come, serve and go. Pure."""

from collections.abc import Iterable

from trustedpods.protocol.ids import Address, address_bytes
from trustedpods.protocol.networks.content import AddressEntry, Component, NetworkContent
from trustedpods.publisher.core.networks.plan import WantedNode


def with_component(content: NetworkContent, component: Component) -> NetworkContent:
    """The state with *component* in the place of one of its name.

    That one's addresses stay while it is updated where it is: its version before serves there until the new
    one has proven itself.
    """
    before = component_of(content, component.name)
    rest = [one for one in content.components if one.name != component.name]
    stays = before is not None and component.phase != "stopped" and _place(before) == _place(component)
    addresses = [one for one in content.addresses if stays or one.component != component.name]
    components = sorted([*rest, component], key=lambda one: one.name)
    return content.model_copy(update={"components": components, "addresses": addresses})


def _place(component: Component) -> tuple[str, bytes]:
    return component.cluster, component.publisher


def with_addresses(content: NetworkContent, name: str, entries: Iterable[AddressEntry]) -> NetworkContent:
    """The state with *entries* in the place of those of the component *name*."""
    rest = [one for one in content.addresses if one.component != name]
    return content.model_copy(update={"addresses": sorted([*rest, *entries], key=lambda one: one.place)})


def without_component(content: NetworkContent, name: str) -> NetworkContent:
    """The state without the component *name*."""
    components = [one for one in content.components if one.name != name]
    addresses = [one for one in content.addresses if one.component != name]
    return content.model_copy(update={"components": components, "addresses": addresses})


def put_back(content: NetworkContent, before: NetworkContent, name: str) -> NetworkContent:
    """The state with the component *name* and its addresses as they were in *before*."""
    rest = without_component(content, name)
    components = sorted(
        [*rest.components, *(one for one in before.components if one.name == name)], key=lambda one: one.name
    )
    addresses = sorted(
        [*rest.addresses, *(one for one in before.addresses if one.component == name)],
        key=lambda one: one.place,
    )
    return content.model_copy(update={"components": components, "addresses": addresses})


def component_of(content: NetworkContent, name: str) -> Component | None:
    """The component *name*, if there is one."""
    return next((one for one in content.components if one.name == name), None)


def stopping(component: Component) -> Component:
    """A component that is about to be removed: whatever its file says, the next apply sees a change."""
    return component.model_copy(update={"phase": "stopped", "manifest_digest": b""})


def requested(node: WantedNode, publisher: Address) -> Component:
    """A node that is about to be deployed."""
    return Component(
        name=node.name,
        cluster=node.cluster,
        phase="requested",
        publisher=address_bytes(publisher),
        manifest_digest=node.digest,
    )


def started(component: Component) -> Component:
    """A node whose pod serves, as its provider confirmed."""
    return component.model_copy(update={"phase": "started"})
