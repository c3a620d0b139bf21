# SPDX-License-Identifier: Apache-2.0
"""What stands in a network's sealed state: its clusters, components, addresses, links and history.

Equal states are equal bytes: what has a name is in the order of names, and bytes that are not in the
one form are refused. A state of an older schema is read as it would be migrated, one of a newer schema as
far as this version knows it; neither is written: the one would be migrated unasked, the other lose what
this version does not know.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, ValidationError, model_validator

from trustedpods.protocol.codec import encode, unpack
from trustedpods.protocol.errors import LocalProtocolError, Refused, RemoteProtocolError
from trustedpods.protocol.messages.base import U32, U64, Bytes20, Message
from trustedpods.protocol.networks.history import (
    CHUNK,
    MAX_CHUNKS,
    MAX_TEXT,
    Argument,
    Chunk,
    HistoryRecord,
    bounded,
    chunked,
)
from trustedpods.protocol.networks.migrations import SCHEMA, migrated
from trustedpods.protocol.networks.names import MAX_ADDRESSES, MAX_IDENTITY, Name, PodName
from trustedpods.protocol.networks.owners.links import MAX_LINKS, OwnerLink
from trustedpods.protocol.networks.sealed_documents import MAX_CONTENT

MAX_CLUSTERS: Final = 16
MAX_COMPONENTS: Final = 128
"""Pods of one network; a hundred nodes and what stands beside them."""


class Migration(Message):
    """The last migration: when (Unix seconds), by whom, and the schema that the state had before."""

    migrated_at: U64
    migrated_by: Bytes20
    from_version: Annotated[U32, Field(ge=1)]


class StateMetadata(Message):
    """`name` is fixed at birth; `updated_at` is Unix seconds; `updated_by` signed that generation.

    `epoch` grows whenever generations may begin to count anew: Unix seconds, or one more than the epoch
    before. Address books are compared by it first.
    """

    name: Name
    updated_at: U64
    updated_by: Bytes20
    epoch: U64 = 0
    migration: Migration | None = None


class LostCluster(Message):
    """An owner's word that a cluster is lost: when (Unix seconds), whose, and why.

    The members' change `lose` signs the cluster's name, its provider and the reason (`members.lost_digest`).
    """

    at: U64
    by: Bytes20
    reason: Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]


class NetworkCluster(Message):
    """A cluster of the network: row `daemon` of the provider `owner`. A lost one is not asked any more."""

    name: PodName
    owner: Bytes20
    daemon: U32
    lost: LostCluster | None = None


class Component(Message):
    """One pod of the network, and how far it is. `publisher` deployed it and alone commands it.

    `manifest_digest` (SHA-256, empty before it is known) is what a plan compares.
    """

    name: PodName
    cluster: PodName
    phase: Literal["requested", "deployed", "configured", "started", "stopped"]
    publisher: Bytes20
    manifest_digest: Annotated[bytes, Field(max_length=32)] = b""


class AddressEntry(Message):
    """Where one port of one service of a node is reached: a line of the network's address book.

    `url` is as the node's provider confirmed it, in state `generation`; of two entries a reader takes the
    newer. `service` and `port` (its own, not the published one) are as the node's manifest has them. An
    empty service and 0 stand for what an older schema did not say. `identity` is what the node is known by
    to its peers; empty where it is known by nothing.
    """

    component: PodName
    service: Annotated[str, Field(pattern=r"^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)?$")] = ""
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    url: Annotated[str, Field(max_length=512)]
    identity: Annotated[bytes, Field(max_length=MAX_IDENTITY)] = b""
    generation: U64 = 0

    @property
    def place(self) -> tuple[str, str, int, str]:
        """What no two entries have in common, and the order in which they stand."""
        return self.component, self.service, self.port, self.url


class NetworkContent(Message):
    """The whole state. `dropped` counts what history rotated out; `links` are to other owners."""

    schema_version: Literal[6] = 6
    metadata: StateMetadata
    clusters: Annotated[list[NetworkCluster], Field(min_length=1, max_length=MAX_CLUSTERS)]
    components: Annotated[list[Component], Field(max_length=MAX_COMPONENTS)] = []  # noqa: RUF012 - pydantic's
    addresses: Annotated[list[AddressEntry], Field(max_length=MAX_ADDRESSES)] = []  # noqa: RUF012 - as above
    links: Annotated[list[OwnerLink], Field(max_length=MAX_LINKS)] = []  # noqa: RUF012 - as above
    history: Annotated[list[Chunk], Field(max_length=MAX_CHUNKS)] = []  # noqa: RUF012 - as above
    dropped: U64 = 0

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        clusters = [cluster.name for cluster in self.clusters]
        components = [component.name for component in self.components]
        places, links = [entry.place for entry in self.addresses], [link.alias for link in self.links]
        in_order = [names == sorted(set(names)) for names in (clusters, components, links)]
        if not all(in_order) or places != sorted(set(places)):
            raise ValueError("names must be in order, each once")
        if any(component.cluster not in clusters for component in self.components):
            raise ValueError("a component is in a cluster that the network does not have")
        if any(entry.component not in components for entry in self.addresses):
            raise ValueError("an address is of no component")
        if len({link.owner for link in self.links}) < len(self.links):
            raise ValueError("two links lead to one owner")
        if any(len(chunk) != CHUNK for chunk in self.history[:-1]):
            raise ValueError(f"only the last chunk of history has fewer than {CHUNK} records")
        return self


@dataclass(frozen=True, slots=True)
class ReadState:
    """A state as it was read, and the schema that it is written in."""

    content: NetworkContent
    schema_version: int

    def writable(self) -> NetworkContent:
        """The content, to be changed. Refused (rule `schema`) where its schema is not this version's."""
        if self.schema_version < SCHEMA:
            raise Refused(
                f"the state of {self.content.metadata.name} has schema {self.schema_version}; "
                f"this version writes {SCHEMA}",
                hint="`trustedpods state migrate` does it; members with an older version then only read",
                rule="schema",
            )
        if self.schema_version > SCHEMA:
            raise Refused(
                f"the state of {self.content.metadata.name} has schema {self.schema_version}; "
                f"this version writes {SCHEMA}",
                hint="use the newer version of trustedpods; this one may read",
                rule="schema",
            )
        return self.content


def begun(
    content: NetworkContent, at: int, by: bytes, verb: str, arguments: list[Argument], generation: int
) -> NetworkContent:
    """The state with a command that *by* began; the oldest go where there are too many, and are counted."""
    record = HistoryRecord(at=at, by=by, verb=verb, arguments=arguments, result="", generation=generation)
    return _with_history(content, *chunked(content.history, record))


def ended(content: NetworkContent, at: int, result: str, generation: int) -> NetworkContent:
    """The state in which the newest command, which had begun and not ended, has.

    Nobody else can have begun one meanwhile: the leases are held from the begin to the end.
    """
    chunks = [list(chunk) for chunk in content.history]
    if not chunks or chunks[-1][-1].ended:
        raise LocalProtocolError("no command of the network's history is unfinished")
    end = {"ended": at, "result": result, "generation": generation}
    chunks[-1][-1] = chunks[-1][-1].model_copy(update=end)
    return _with_history(content, *bounded(chunks))


def _with_history(content: NetworkContent, history: list[list[HistoryRecord]], gone: int) -> NetworkContent:
    return content.model_copy(update={"history": history, "dropped": content.dropped + gone})


def read_content(data: bytes) -> ReadState:
    """The state in *data*. RemoteProtocolError for what is none, or is newer than can be understood."""
    if len(data) > MAX_CONTENT:
        raise RemoteProtocolError(f"a network's state of {len(data)} bytes is over {MAX_CONTENT}")
    fields = unpack(data)
    version = fields.get("schema_version")
    if type(version) is not int or version < 1:
        raise RemoteProtocolError("a network's state has no schema_version")
    if version < SCHEMA:
        return ReadState(_validated(migrated(fields, version)), version)
    if version == SCHEMA:
        content = _validated(fields)
        if encode(content) != data:
            raise RemoteProtocolError("a network's state is not in the one form that its bytes may have")
        return ReadState(content, version)
    return ReadState(_validated(_known_part({**fields, "schema_version": SCHEMA})), version)


def _validated(fields: dict[str, Any]) -> NetworkContent:
    try:
        return NetworkContent.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])[:200]
        raise RemoteProtocolError(f"a network's state: {place}: {first['msg'][:200]}") from None


def _known_part(fields: dict[str, Any]) -> dict[str, Any]:
    """*fields* without what this schema does not have."""
    try:
        NetworkContent.model_validate(fields)
    except ValidationError as error:
        for detail in error.errors(include_input=False, include_url=False, include_context=False):
            if detail["type"] == "extra_forbidden":
                *path, last = detail["loc"]
                place: Any = fields
                for part in path:
                    place = place[part]
                del place[last]
    return fields
