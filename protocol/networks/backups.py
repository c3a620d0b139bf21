# SPDX-License-Identifier: Apache-2.0
"""A backup of a network's state: the document that counted, sealed to its team, signed by who took it."""

import hashlib
from typing import Annotated, Final, Literal

from pydantic import Field

from trustedpods.protocol.codec import decode, encode
from trustedpods.protocol.errors import Refused, RemoteProtocolError
from trustedpods.protocol.ids import address_bytes, address_from_bytes
from trustedpods.protocol.limits import KIB
from trustedpods.protocol.messages.base import U64, Bytes20, Message
from trustedpods.protocol.networks.documents import Document, Generation
from trustedpods.protocol.networks.members import Signature
from trustedpods.protocol.networks.sealed_documents import MAX_BODY, parse_body, verified
from trustedpods.protocol.sealing.signatures import SIGNATURE_BYTES, sign_statement, statement_signer

MAX_BACKUP: Final = MAX_BODY + KIB
"""Bytes of a backup's file: a document, and who took it when."""


class Backup(Message):
    """`body` is a whole `SealedBody`; `at` is Unix seconds, by the clock of `by`, who took it."""

    kind: Literal["network-backup"] = "network-backup"
    body: Annotated[bytes, Field(min_length=1, max_length=MAX_BODY)]
    at: U64
    by: Bytes20
    signature: Signature

    @property
    def document(self) -> Document:
        """The document that is kept in it."""
        return Document(Generation(parse_body(self.body).generation), self.body)


def to_backup(private_key: bytes, document: Document, at: int) -> bytes:
    """The file of a backup of *document*, taken *at* by whoever holds *private_key*."""
    unsigned = Backup(body=document.body, at=at, by=bytes(20), signature=bytes(SIGNATURE_BYTES))
    by, signature = sign_statement(
        private_key, lambda who: _text(unsigned.model_copy(update={"by": address_bytes(who)}))
    )
    return encode(unsigned.model_copy(update={"by": address_bytes(by), "signature": signature}))


def read_backup(data: bytes) -> Backup:
    """The backup in *data*, whose signature, members and writer hold; nothing is opened.

    RemoteProtocolError for what is none; Refused (rule `backup`) where nobody of the team signed it, or
    as `sealed_documents.verified`.
    """
    if len(data) > MAX_BACKUP:
        raise RemoteProtocolError(f"a backup of {len(data)} bytes is over {MAX_BACKUP}")
    backup = decode(data, Backup)
    body, by = parse_body(backup.body), address_from_bytes(backup.by)
    if statement_signer(_text(backup), backup.signature) != by:
        raise Refused(f"the backup of {body.network} is not signed by {by}", rule="backup")
    if verified(body).role(by) is None:
        raise Refused(f"{by}, who took the backup, is no member of {body.network}", rule="backup")
    return backup


def _text(backup: Backup) -> str:
    return (
        "Trusted Pods: a backup of a network's state, version 1.\n"
        f"digest {hashlib.sha256(backup.body).hexdigest()}\nat {backup.at} by {address_from_bytes(backup.by)}"
    )
