# SPDX-License-Identifier: Apache-2.0
"""The Network manifest: several pods over several clusters, and the people who look after them.

Clusters are names here: which provider each of them is stands in the network's document.
"""

from typing import Annotated, Literal

from pydantic import Field

from trustedpods.manifests.spec.part import ManifestPart, Spelling

MAX_NETWORK_NODES = 128
"""Pods of one network: what its document holds (`trustedpods.protocol.networks.content`)."""

MAX_NETWORK_MEMBERS = 32
"""Members of one network: what its document is sealed to (`trustedpods.protocol.networks.members`)."""

_LETTER_FIRST = "lower-case letters, digits and `-`, a letter first, `-` not last, at most {} of them"

NetworkLabel = Annotated[str, Spelling(r"[a-z](?:[-a-z0-9]{0,38}[a-z0-9])?", _LETTER_FIRST.format(40))]
"""A network's or a cluster's name, as `trustedpods.protocol.networks.members` takes it."""

NodeLabel = Annotated[str, Spelling(r"[a-z](?:[-a-z0-9]{0,48}[a-z0-9])?", _LETTER_FIRST.format(50))]
"""A node's name: its pod is called so with 9 characters more, and a pod's name ends at 63."""

AccountAddress = Annotated[str, Spelling(r"0x[0-9a-fA-F]{40}", "an address: 0x and 40 hex digits")]

RelativeFile = Annotated[
    str, Spelling(r"(?s:[^\x00]{1,512})", "a file's path, of 1 to 512 characters, beside this file")
]


class NetworkMember(ManifestPart):
    """One member: a viewer reads, an operator applies too, an owner changes members too.

    `card` is the file that the member's `trustedpods network card` wrote; it is needed once, to let
    somebody in whom the network does not know yet.
    """

    address: AccountAddress
    role: Literal["owner", "operator", "viewer"]
    card: RelativeFile | None = None


class NetworkNode(ManifestPart):
    """One pod of the network: its own manifest, and the cluster in which it runs."""

    name: NodeLabel
    pod: RelativeFile
    cluster: NetworkLabel


class NetworkSpec(ManifestPart):
    """Who and what. Without `members` the team stays as it is; with it, it is the whole team."""

    members: Annotated[list[NetworkMember], Field(min_length=1, max_length=MAX_NETWORK_MEMBERS)] | None = None
    nodes: Annotated[list[NetworkNode], Field(max_length=MAX_NETWORK_NODES)]


class NetworkMetadata(ManifestPart):
    """The network's name, and who founded it: whoever applies the file where that is left out."""

    name: NetworkLabel
    founder: AccountAddress | None = None


class NetworkManifest(ManifestPart):
    """A whole Network file. What stands in its nodes' own files is checked with them."""

    api_version: Literal["trustedpods/v1"]
    kind: Literal["Network"]
    metadata: NetworkMetadata
    spec: NetworkSpec
