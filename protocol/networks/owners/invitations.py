# SPDX-License-Identifier: Apache-2.0
"""An invitation: an owner's export for one other owner, who may answer it until it expires. Pure."""

import hashlib
import os
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from trustedpods.protocol.codec import decode, encode
from trustedpods.protocol.errors import Refused, RemoteProtocolError
from trustedpods.protocol.ids import Address, address_bytes, address_from_bytes
from trustedpods.protocol.limits import KIB
from trustedpods.protocol.messages.base import U64, Bytes20, Message
from trustedpods.protocol.networks.members import Signature
from trustedpods.protocol.networks.owners.exports import (
    MAX_WHOLE_EXPORT,
    NetworkExport,
    check_export,
)
from trustedpods.protocol.sealing.signatures import SIGNATURE_BYTES, sign_statement, statement_signer

MAX_INVITATION: Final = MAX_WHOLE_EXPORT + KIB
NONCE_BYTES: Final = 16


class Invitation(Message):
    """*guest* may join with nodes of his own until `expires` (Unix seconds, by the clock of who accepts).

    It is signed by the owner of `export`, which is for the guest alone. `nonce` tells two apart.
    """

    kind: Literal["network-invitation"] = "network-invitation"
    version: Literal[1] = 1
    export: NetworkExport
    guest: Bytes20
    nonce: Annotated[bytes, Field(min_length=NONCE_BYTES, max_length=NONCE_BYTES)]
    expires: U64
    signature: Signature = bytes(SIGNATURE_BYTES)

    @property
    def digest(self) -> bytes:
        """By which answers name it."""
        return hashlib.sha256(_text(self).encode()).digest()

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        if self.export.word != "tells" or self.export.to != self.guest:
            raise ValueError("an invitation has an export for its guest")
        if self.export.owner == self.guest:
            raise ValueError("nobody invites himself")
        return self


def signed_invitation(private_key: bytes, export: NetworkExport, guest: Address, expires: int) -> Invitation:
    """The invitation of *guest*, with *export*, which the same key signed for him."""
    unsigned = Invitation(
        export=export, guest=address_bytes(guest), nonce=os.urandom(NONCE_BYTES), expires=expires
    )
    _, signature = sign_statement(private_key, lambda _: _text(unsigned))
    return unsigned.model_copy(update={"signature": signature})


def read_invitation(data: bytes) -> Invitation:
    """The invitation in *data*, whose signatures hold. Raises as `read_export`, with rule `invitation`."""
    if len(data) > MAX_INVITATION:
        raise RemoteProtocolError(f"an invitation of {len(data)} bytes is over {MAX_INVITATION}")
    invitation = decode(data, Invitation)
    if encode(invitation) != data:
        raise RemoteProtocolError("an invitation is not in the one form that its bytes may have")
    check_export(invitation.export)
    owner = address_from_bytes(invitation.export.owner)
    if statement_signer(_text(invitation), invitation.signature) != owner:
        raise Refused(f"the invitation is not signed by {owner}", rule="invitation")
    return invitation


def _text(invitation: Invitation) -> str:
    export = invitation.export
    return (
        "Trusted Pods: an invitation into a network, version 1.\n"
        f"network {export.network}\nby {address_from_bytes(export.owner)}\n"
        f"for {address_from_bytes(invitation.guest)} until {invitation.expires}\n"
        f"nonce {invitation.nonce.hex()}\n"
        f"export {hashlib.sha256(encode(export.without_files)).hexdigest()}"
    )
