# SPDX-License-Identifier: Apache-2.0
"""What stands in a network's sealed state, schema 1: its clusters, components, addresses and history.

Equal states are equal bytes: what has a name is in the order of names, and bytes that are not in the
one form are refused. A state of a newer schema is read as far as this version knows it, and never
written: what it does not know would be lost.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, ValidationError, model_validator

from trustedpods.protocol.codec import encode, unpack
from trustedpods.protocol.errors import Refused, RemoteProtocolError
from trustedpods.protocol.limits import KIB
from trustedpods.protocol.messages.base import U32, U64, Bytes20, Message
from trustedpods.protocol.networks.sealed_documents import MAX_CONTENT, Name

SCHEMA: Final = 1
"""The schema that this version writes."""

MAX_CLUSTERS: Final = 16
MAX_COMPONENTS: Final = 128
"""Pods of one network; a hundred nodes and what stands beside them."""

CHUNK: Final = 99
"""Records of one chunk of history, as the state of Solo has them."""

MAX_CHUNKS: Final = 8
MAX_HISTORY: Final = 96 * KIB
"""Bytes of all chunks: some 500 commands of usual length, and less than half of a state."""

PodName = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]
Text = Annotated[str, Field(max_length=256)]


class StateMetadata(Message):
    """`name` is fixed at birth; `updated_at` is Unix seconds; `updated_by` signed that generation."""

    name: Name
    updated_at: U64
    updated_by: Bytes20


class NetworkCluster(Message):
    """A cluster of the network: row `daemon` of the provider `owner`."""

    name: PodName
    owner: Bytes20
    daemon: U32


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
    """Where one component is reached. `url` is as its provider confirmed it."""

    component: PodName
    url: Annotated[str, Field(max_length=512)]


class Argument(Message):
    """One argument of a command; `value` is None for one whose type is secret."""

    name: Annotated[str, Field(max_length=64)]
    value: Text | None


class HistoryRecord(Message):
    """One command: who ran it when (Unix seconds), what came of it, and the generation that it wrote."""

    at: U64
    by: Bytes20
    verb: Annotated[str, Field(max_length=64)]
    arguments: Annotated[list[Argument], Field(max_length=16)]
    result: Text
    generation: U64


Chunk = Annotated[list[HistoryRecord], Field(min_length=1, max_length=CHUNK)]


class NetworkContent(Message):
    """The whole state. `dropped` counts records of history that were rotated out."""

    schema_version: Literal[1] = 1
    metadata: StateMetadata
    clusters: Annotated[list[NetworkCluster], Field(min_length=1, max_length=MAX_CLUSTERS)]
    components: Annotated[list[Component], Field(max_length=MAX_COMPONENTS)] = []  # noqa: RUF012 - pydantic's
    addresses: Annotated[list[AddressEntry], Field(max_length=MAX_COMPONENTS)] = []  # noqa: RUF012 - as above
    history: Annotated[list[Chunk], Field(max_length=MAX_CHUNKS)] = []  # noqa: RUF012 - as above
    dropped: U64 = 0

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        clusters = [cluster.name for cluster in self.clusters]
        components = [component.name for component in self.components]
        for names in (clusters, components, [entry.component for entry in self.addresses]):
            if names != sorted(set(names)):
                raise ValueError("names must be in order, each once")
        if any(component.cluster not in clusters for component in self.components):
            raise ValueError("a component is in a cluster that the network does not have")
        if any(entry.component not in components for entry in self.addresses):
            raise ValueError("an address is of no component")
        if any(len(chunk) != CHUNK for chunk in self.history[:-1]):
            raise ValueError(f"only the last chunk of history has fewer than {CHUNK} records")
        return self


@dataclass(frozen=True, slots=True)
class SecretText:
    """A value that no history may show; the type says so, whatever stands in it."""

    text: str


@dataclass(frozen=True, slots=True)
class ReadState:
    """A state as it was read, and the schema that it is written in."""

    content: NetworkContent
    schema_version: int

    def writable(self) -> NetworkContent:
        """The content, to be changed. Refused (rule `schema`) where a newer client wrote it."""
        if self.schema_version > SCHEMA:
            raise Refused(
                f"the state of {self.content.metadata.name} has schema {self.schema_version}; "
                f"this version writes {SCHEMA}",
                hint="use the newer version of trustedpods; this one may read",
                rule="schema",
            )
        return self.content


def arguments(given: Iterable[tuple[str, str | SecretText]]) -> list[Argument]:
    """A command's arguments as history keeps them: secrets by their type, long ones cut."""
    return [
        Argument(name=name, value=None if isinstance(value, SecretText) else value[:256])
        for name, value in given
    ]


def recorded(content: NetworkContent, record: HistoryRecord) -> NetworkContent:
    """The state with one more record; the oldest go where there are too many, and are counted."""
    chunks = [list(chunk) for chunk in content.history]
    if chunks and len(chunks[-1]) < CHUNK:
        chunks[-1].append(record)
    else:
        chunks.append([record])
    dropped = content.dropped
    while len(chunks) > MAX_CHUNKS or _size(chunks) > MAX_HISTORY:
        gone = len(chunks[0]) if len(chunks) > 1 else 1
        dropped += gone
        del chunks[0][:gone]
        chunks = [chunk for chunk in chunks if chunk]
    return content.model_copy(update={"history": chunks, "dropped": dropped})


def _size(chunks: list[list[HistoryRecord]]) -> int:
    return sum(len(encode(record)) for chunk in chunks for record in chunk)


def read_content(data: bytes) -> ReadState:
    """The state in *data*. RemoteProtocolError for what is none, or is newer than can be understood."""
    if len(data) > MAX_CONTENT:
        raise RemoteProtocolError(f"a network's state of {len(data)} bytes is over {MAX_CONTENT}")
    fields = unpack(data)
    version = fields.get("schema_version")
    if type(version) is not int or version < 1:
        raise RemoteProtocolError("a network's state has no schema_version")
    if version <= SCHEMA:
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
