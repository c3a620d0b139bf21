# SPDX-License-Identifier: Apache-2.0
"""The Network manifest: several pods over several clusters, and the people who look after them.

Clusters are names here: which provider each of them is stands in the network's document.
"""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from trustedpods.manifests.spec.part import DnsLabel, ManifestPart, Spelling
from trustedpods.manifests.spec.probe import Exec

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


ValueFileName = Annotated[
    str, Spelling(r"[A-Za-z0-9][-_.A-Za-z0-9]{0,62}", "up to 63 letters, digits, `-`, `_` and `.`")
]

EndpointText = Annotated[str, Spelling(r"[!-~]{1,512}", "1 to 512 printable characters without spaces")]


class NetworkMember(ManifestPart):
    """One member: a viewer reads, an operator applies too, an owner changes members too.

    `card` is the file that the member's `trustedpods network card` wrote; it is needed once, to let
    somebody in whom the network does not know yet.
    """

    address: AccountAddress
    role: Literal["owner", "operator", "viewer"]
    card: RelativeFile | None = None


MAX_VALUES: Final = 64
"""Values of a template, or of a node: a manifest has fewer words than that to be filled in."""

MAX_VALUE_TEXT: Final = 4096
"""Characters of one value; what is longer is a file."""

MAX_SHARED_FILES: Final = 32
MAX_EXTERNAL_NODES: Final = 64

MAX_NETWORK_PROBES: Final = 16
"""Each is a session with a node's provider at every apply."""

MAX_PROBE_S: Final = 3600
"""Of one probe: longer no apply should be waited for. A chain that begins needs a minute."""

MAX_PROBE_COMMAND: Final = 16 * 1024
"""Bytes of a probe's words: a request to run a command takes 24 KiB."""

ValueName = Annotated[
    str, Spelling(r"[A-Za-z][A-Za-z0-9_-]{0,62}", "a letter, then letters, digits, `_` and `-`, up to 63")
]


def _scalar(value: object) -> object:
    """A text, a whole number or a truth: what can stand in the place of one word of a manifest."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) < 2**63:
        return value
    if isinstance(value, str) and len(value) <= MAX_VALUE_TEXT and "\0" not in value:
        return value
    text = (
        f"a value is a text of up to {MAX_VALUE_TEXT} characters, a whole number of 64 bits, or true or false"
    )
    raise ValueError(text)


Value = Annotated[Any, AfterValidator(_scalar)]
Values = Annotated[dict[ValueName, Value], Field(max_length=MAX_VALUES)]


class Template(ManifestPart):
    """A Pod that several nodes are made from: a file, or its `spec` right here; `values` are defaults.

    `manifests/network/filling.py` says what may stand in it.
    """

    pod: RelativeFile | None = None
    spec: dict[str, Any] | None = None
    values: Values = {}

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.pod is None) == (self.spec is None):
            raise ValueError("give either `pod`, a file, or the pod's `spec`")
        return self


class NodePlacement(ManifestPart):
    """Which of the network's clusters takes a node, where the file names none.

    `provider` and `region` leave out the others. Of what is left `spread` takes the one with the fewest
    nodes of this network, `cheapest` the one where the node costs least. `distinct: provider` puts no two
    replicas of the node at providers of one owner.
    """

    provider: Annotated[str, Spelling(r"0x[0-9a-fA-F]{40}(?:/[0-9]{1,5})?", "OWNER or OWNER/N")] | None = None
    region: Annotated[str, Field(min_length=1, max_length=12)] | None = None
    strategy: Literal["spread", "cheapest"] = "spread"
    distinct: Literal["provider"] | None = None


class NetworkNode(ManifestPart):
    """One pod of the network, or with `replicas` so many, NAME-1 to NAME-N, and where it runs.

    It is a Pod's file as it stands (`pod`), or made from a template with `values`. It is begun when all
    nodes that it depends on serve.
    """

    name: NodeLabel
    pod: RelativeFile | None = None
    template: NodeLabel | None = None
    values: Values = {}
    replicas: Annotated[int, Field(ge=1, le=MAX_NETWORK_NODES)] | None = None
    cluster: NetworkLabel | None = None
    placement: NodePlacement | None = None
    depends_on: Annotated[list[NodeLabel], Field(max_length=MAX_NETWORK_NODES)] = []

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        if (self.pod is None) == (self.template is None):
            raise ValueError("give either `pod`, a file, or a `template`")
        if (self.cluster is None) == (self.placement is None):
            raise ValueError("give either a `cluster` or a `placement`; `placement: {}` takes any")
        if self.values and self.template is None:
            raise ValueError("`values` fill a `template`; a `pod` is taken as it stands")
        return self


class SharedFile(ManifestPart):
    """A file that several nodes have, as a genesis or a CA: another one than `sha256` says is refused."""

    name: ValueFileName
    file: RelativeFile
    sha256: Annotated[str, Spelling(r"[0-9a-f]{64}", "64 hex digits in lower case, as sha256sum prints them")]


class ExternalNode(ManifestPart):
    """A node that nobody runs through this file: templates name what is known of it."""

    name: NodeLabel
    owner: AccountAddress | None = None
    endpoints: Annotated[dict[ValueName, EndpointText], Field(max_length=16)] = {}
    identity: EndpointText | None = None


class NetworkProbe(ManifestPart):
    """What shows that the network as a whole works, once all nodes serve.

    `network apply` runs the command in a `container` of the node (its only one where none is named) until it
    ends with 0, and fails where that takes longer than `timeoutSeconds` in all. With replicas it is asked
    of each. What it writes last is shown.
    """

    name: NodeLabel
    node: NodeLabel
    container: DnsLabel | None = None
    exec: Exec
    timeout_seconds: Annotated[int, Field(ge=1, le=MAX_PROBE_S)] = 60


class NetworkSpec(ManifestPart):
    """Who and what. Without `members` the team stays as it is; with it, it is the whole team."""

    members: Annotated[list[NetworkMember], Field(min_length=1, max_length=MAX_NETWORK_MEMBERS)] | None = None
    templates: Annotated[dict[NodeLabel, Template], Field(max_length=MAX_NETWORK_NODES)] = {}
    shared_files: Annotated[list[SharedFile], Field(max_length=MAX_SHARED_FILES)] = []
    external_nodes: Annotated[list[ExternalNode], Field(max_length=MAX_EXTERNAL_NODES)] = []
    nodes: Annotated[list[NetworkNode], Field(max_length=MAX_NETWORK_NODES)]
    probes: Annotated[list[NetworkProbe], Field(max_length=MAX_NETWORK_PROBES)] = []


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
