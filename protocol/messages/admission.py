# SPDX-License-Identifier: Apache-2.0
"""What is asked before any money moves: whether a pod may come, and what it would become."""

from typing import Annotated, Literal

from pydantic import Field

from trustedpods.protocol import limits
from trustedpods.protocol.messages.base import U32, U64, Digest, Message, ShortText
from trustedpods.protocol.messages.bundle import SeedFiles
from trustedpods.protocol.messages.capabilities import (
    MAX_ANNOTATIONS,
    AccessMode,
    AnnotationKey,
    ObjectName,
    Placement,
)
from trustedpods.protocol.messages.provider import Capacity, ServiceProtocol
from trustedpods.protocol.networks.book import NetworkBook


class VolumeAsk(Message):
    """A persistent volume that a pod wants: MiB, its class (None: the cluster's default), who may mount it.

    With `ordinals` each replica has its own.
    """

    name: ShortText
    mib: U64
    storage_class: ObjectName | None
    access_mode: AccessMode
    ordinals: bool


class IngressAsk(Message):
    """A service for a controller of the cluster's: its class, and the names of what that is told."""

    class_name: ObjectName
    annotations: Annotated[list[AnnotationKey], Field(max_length=MAX_ANNOTATIONS)]


class AdmitBody(Message):
    """May a pod of this size come? Asked before any money moves.

    `storage_mib` are its volumes, `image_mib` its images (docs/metering.md), `scratch_mib` each replica's
    `ephemeral-storage`. `services` has the protocol of each exposed service by its name, `hosts` the names it
    is reached under, `volumes` what holds its data; `names` is whether it calls hosts by name, `smtp` whether
    it sends mail, `own_sleep` whether it asks for its own sleep, `user_namespaces` whether its user ids must
    be no other pod's, `calls` how many nodes of its network it
    calls, `placement` on which nodes its replicas run, `csi_drivers` what mounts volumes there, `users` the
    user ids of its containers, which the provider reads from the images too when it has them; `ingresses` are
    the classes that are to serve its hosts.
    """

    kind: Literal["admit"] = "admit"
    cpu_milli: U64
    memory_mib: U64
    storage_mib: U64
    image_mib: U64
    scratch_mib: U64
    max_replicas: Annotated[int, Field(ge=0, le=limits.MAX_REPLICAS)]
    services: Annotated[dict[ShortText, ServiceProtocol], Field(max_length=16)]
    hosts: Annotated[list[ShortText], Field(max_length=16)]
    volumes: Annotated[list[VolumeAsk], Field(max_length=limits.MAX_VOLUMES)]
    names: bool
    smtp: bool = False
    own_sleep: bool = False
    user_namespaces: bool = False
    calls: Annotated[int, Field(ge=0, le=limits.MAX_CALLED_NODES)] = 0
    placement: Placement = Placement()
    csi_drivers: Annotated[list[ObjectName], Field(max_length=32)] = Field(default_factory=list)
    users: Annotated[list[U32], Field(max_length=limits.MAX_IMAGES)] = Field(default_factory=list)
    ingresses: Annotated[list[IngressAsk], Field(max_length=16)] = Field(default_factory=list)


class Admitted(Message):
    """The pod may come: what of the provider's capacity is left without it."""

    kind: Literal["admission"] = "admission"
    capacity: Capacity


MAX_RENDERED = 1 << 20
"""Bytes of JSON: the objects of the largest manifest, which repeat parts of it a few times."""


class RenderBody(Message):
    """What would the cluster hold of this pod? Its manifest as in a bundle, and its images by container.

    No content of any file goes with it: objects of secrets have the names of files alone. `users` is whom the
    images run as (`USER`), of a pod with `seeds`, whose files are empty here. `book` is a node's, of the
    nodes that it calls.
    """

    kind: Literal["render"] = "render"
    manifest: Annotated[bytes, Field(max_length=limits.MAX_MANIFEST_JSON)]
    images: Annotated[dict[ShortText, Digest], Field(max_length=limits.MAX_IMAGES)]
    users: Annotated[dict[ShortText, ShortText], Field(max_length=limits.MAX_IMAGES)]
    seeds: Annotated[list[SeedFiles], Field(max_length=limits.MAX_SEEDS)]
    book: NetworkBook | None = None


class Rendered(Message):
    """The Kubernetes objects, a JSON list in the order in which they are applied; secrets' values hidden."""

    kind: Literal["rendered"] = "rendered"
    objects: Annotated[bytes, Field(max_length=MAX_RENDERED)]
