# SPDX-License-Identifier: Apache-2.0
"""An export: what the owner of a network tells another owner of its nodes, signed. Pure.

Two networks of different owners stay two. Each owner signs what is to be known of his own nodes, so nobody
can name a node for somebody else, and of two exports the one of the later state counts. Files that both must
have, as a chain's genesis, are named by their hashes; their bytes may travel beside, and need no signature.
"""

import hashlib
from ipaddress import IPv4Address
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from trustedpods.protocol.codec import decode, encode
from trustedpods.protocol.errors import BadInput, Refused, RemoteProtocolError
from trustedpods.protocol.ids import address_bytes, address_from_bytes
from trustedpods.protocol.limits import KIB, SMTP_PORTS
from trustedpods.protocol.messages.base import U64, Bytes20, Bytes32, Message
from trustedpods.protocol.networks.book import BookEntry, Transport
from trustedpods.protocol.networks.members import NOBODY, NetworkName, Signature
from trustedpods.protocol.networks.names import MAX_IDENTITY, Name, PodName
from trustedpods.protocol.sealing.signatures import SIGNATURE_BYTES, sign_statement, statement_signer

MAX_EXPORTED_NODES: Final = 64
"""As many as a Network file may name outside any cluster."""

MAX_EXPORTED_PORTS: Final = 16
"""Of one node: as many endpoints as a node outside any cluster may have."""

MAX_EXPORT: Final = 32 * KIB
"""Bytes without carried files: some 200 ports, and a seventh of the state in which it is kept."""

MAX_FILES: Final = 32
"""As many as a Network file may share."""

MAX_CARRIED: Final = 256 * KIB
"""Bytes of all carried files: a genesis has some kilobytes, one with many accounts a hundred."""

MAX_WHOLE_EXPORT: Final = MAX_EXPORT + MAX_CARRIED + 4 * KIB
"""Bytes of an export with carried files and their names."""

SharedName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][-_.A-Za-z0-9]{0,62}$")]

ExportWord = Literal["tells", "answers", "accepts", "leaves"]
"""Why it was signed. `answers` and `accepts` are of a guest and of who invited him, about the invitation that
`about` names; with `leaves` the owner takes his nodes out, and names none, but the invitation if
there was one."""


class ExportedPort(Message):
    """One port of one service of a node, and where its provider publishes it; as of a `BookEntry`."""

    service: PodName
    port: Annotated[int, Field(ge=1, le=65535)]
    transport: Transport
    address: Annotated[str, Field(min_length=1, max_length=253)]
    published: Annotated[int, Field(ge=1, le=65535)]
    url: Annotated[str, Field(min_length=1, max_length=512)]

    @model_validator(mode="after")
    def _could_be_called(self) -> Self:
        """What no provider opens for a node: it would refuse all of a book for one such line."""
        try:
            address = IPv4Address(self.address)
        except ValueError:
            return self  # a host's name, which nothing is opened for
        if (
            address.is_loopback
            or address.is_link_local
            or address.is_multicast
            or address.is_unspecified
            or address.is_reserved
        ):
            raise ValueError(f"{address} is the address of no node")
        if self.transport == "TCP" and self.published in SMTP_PORTS:
            raise ValueError(f"port {self.published} is for mail, at which providers open no node")
        return self

    def entry(self, node: str, identity: bytes) -> BookEntry:
        """The line of an address book in which the node is called *node*. ValueError where it is none."""
        return BookEntry(
            node=node,
            service=self.service,
            port=self.port,
            transport=self.transport,
            address=self.address,
            published=self.published,
            url=self.url,
            identity=identity,
        )


class ExportedNode(Message):
    """A node, what it is known by to its peers, and its ports in order."""

    name: PodName
    identity: Annotated[bytes, Field(max_length=MAX_IDENTITY)] = b""
    ports: Annotated[list[ExportedPort], Field(min_length=1, max_length=MAX_EXPORTED_PORTS)]

    @model_validator(mode="after")
    def _could_stand_in_a_book(self) -> Self:
        places = [port.entry(self.name, self.identity).place for port in self.ports]
        if places != sorted(set(places)):
            raise ValueError("ports must be in order, each once")
        if len({(port.transport, port.port) for port in self.ports}) != len(self.ports):
            raise ValueError("two services of one node have the same port: they share the node's name")
        return self


class SharedHash(Message):
    """A file that nodes of both owners must have, by its SHA-256."""

    name: SharedName
    sha256: Bytes32


class CarriedFile(Message):
    """The bytes of a shared file."""

    name: SharedName
    data: Annotated[bytes, Field(max_length=MAX_CARRIED)]


class NetworkExport(Message):
    """The nodes of the network `founder`/`name`, as `owner`, an owner of it, signed them.

    `epoch` and `generation` are those of the network's state. `to` may take it, or everybody where it is
    nobody's address. `about` is the invitation's digest, or empty. `files` are not signed: hashes are.
    """

    kind: Literal["network-export"] = "network-export"
    version: Literal[1] = 1
    founder: Bytes20
    name: Name
    owner: Bytes20
    to: Bytes20 = NOBODY
    word: ExportWord = "tells"
    about: Annotated[bytes, Field(max_length=32)] = b""
    epoch: U64
    generation: U64
    nodes: Annotated[list[ExportedNode], Field(max_length=MAX_EXPORTED_NODES)]
    shared: Annotated[list[SharedHash], Field(max_length=MAX_FILES)] = []  # noqa: RUF012 - pydantic's
    files: Annotated[list[CarriedFile], Field(max_length=MAX_FILES)] = []  # noqa: RUF012 - as above
    signature: Signature = bytes(SIGNATURE_BYTES)

    @property
    def network(self) -> NetworkName:
        """Which network's nodes they are."""
        return NetworkName(address_from_bytes(self.founder), self.name)

    @property
    def age(self) -> tuple[int, int]:
        """What is larger of the later of two exports of one network."""
        return self.epoch, self.generation

    @property
    def without_files(self) -> "NetworkExport":
        """What is kept of it, and what is signed."""
        return self.model_copy(update={"files": []})

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        names = [[each.name for each in part] for part in (self.nodes, self.shared, self.files)]
        if any(part != sorted(set(part)) for part in names):
            raise ValueError("names must be in order, each once")
        lengths = {"answers": (32,), "accepts": (32,), "leaves": (0, 32)}.get(self.word, (0,))
        if len(self.about) not in lengths:
            raise ValueError(
                "answers and acceptances are about an invitation, an end may be, and nothing else is"
            )
        if self.word == "leaves" and self.nodes:
            raise ValueError("who leaves names no nodes")
        if sum(len(each.data) for each in self.files) > MAX_CARRIED:
            raise ValueError(f"more than {MAX_CARRIED // KIB} KiB of files")
        return self


def signed_export(private_key: bytes, export: NetworkExport) -> NetworkExport:
    """*export* with its signer as its owner. BadInput where it would be too large, or is none."""
    owner, signature = sign_statement(
        private_key, lambda who: _text(export.model_copy(update={"owner": address_bytes(who)}))
    )
    update = {"owner": address_bytes(owner), "signature": signature}
    signed = export.model_copy(update=update)
    if (size := len(encode(signed.without_files))) > MAX_EXPORT:
        raise BadInput(f"the export of {export.network} would have {size} bytes, more than {MAX_EXPORT}")
    return signed


def read_export(data: bytes) -> NetworkExport:
    """The export in *data*, signed by its owner, with files that are those of its hashes.

    RemoteProtocolError for what is none; Refused (rule `export`) where the owner did not sign it.
    """
    if len(data) > MAX_WHOLE_EXPORT:
        raise RemoteProtocolError(f"an export of {len(data)} bytes is over {MAX_WHOLE_EXPORT}")
    export = decode(data, NetworkExport)
    if encode(export) != data:
        raise RemoteProtocolError("an export is not in the one form that its bytes may have")
    check_export(export)
    return export


def check_export(export: NetworkExport) -> None:
    """Raises as `read_export` where its owner did not sign it, or a file is another than its hash says."""
    if len(encode(export.without_files)) > MAX_EXPORT:
        raise RemoteProtocolError(f"an export without files is over {MAX_EXPORT} bytes")
    owner = address_from_bytes(export.owner)
    if statement_signer(_text(export), export.signature) != owner:
        raise Refused(f"the export of {export.network} is not signed by {owner}", rule="export")
    hashes = {each.name: each.sha256 for each in export.shared}
    for file in export.files:
        if hashes.get(file.name) != hashlib.sha256(file.data).digest():
            raise Refused(
                f"the file {file.name} in the export of {export.network} is not the one that was signed",
                rule="export",
            )


def _text(export: NetworkExport) -> str:
    blank = export.without_files.model_copy(update={"signature": bytes(SIGNATURE_BYTES)})
    return (
        "Trusted Pods: nodes of a network for another owner, version 1.\n"
        f"network {export.network}\nowner {address_from_bytes(export.owner)}\n"
        f"to {address_from_bytes(export.to)}\n{export.word} {export.about.hex()}\n"
        f"state {export.epoch} {export.generation}\ndigest {hashlib.sha256(encode(blank)).hexdigest()}"
    )
