# SPDX-License-Identifier: Apache-2.0
"""Evidence kept as a file: the answer, with the question, the peer and the time that belong to it.

It proves what a machine was when it was asked, not what it is now.
"""

import base64
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from trustedpods.protocol.codec import decode, encode
from trustedpods.protocol.errors import BadInput, RemoteProtocolError
from trustedpods.protocol.evidence import Attested
from trustedpods.protocol.limits import KIB

MAX_SAVED: Final = 512 * KIB
"""Evidence, keys and profile have 100 KiB at most; base64 adds a third."""


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    version: Annotated[int, Field(strict=True, ge=1, le=1)]
    provider: Annotated[str, Field(max_length=256)]
    saved_at: AwareDatetime
    nonce: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    peer_id: Annotated[str, Field(pattern=r"^([0-9a-f]{2}){1,64}$")]
    attested: Annotated[str, Field(max_length=MAX_SAVED)]


@dataclass(frozen=True, slots=True)
class SavedEvidence:
    """What `verify_evidence` needs to judge it again; `provider` is OWNER/N, for people."""

    provider: str
    saved_at: datetime
    nonce: bytes
    peer_id: bytes
    attested: Attested

    def to_json(self) -> str:
        """The file's text."""
        file = _File(
            version=1,
            provider=self.provider,
            saved_at=self.saved_at,
            nonce=self.nonce.hex(),
            peer_id=self.peer_id.hex(),
            attested=base64.b64encode(encode(self.attested)).decode(),
        )
        return file.model_dump_json(indent=2) + "\n"

    @classmethod
    def from_json(cls, raw: bytes, where: str) -> Self:
        """Read the text again; BadInput (at *where*) for anything else."""
        if len(raw) > MAX_SAVED:
            raise BadInput(f"more than {MAX_SAVED // KIB} KiB of saved evidence", where=where)
        try:
            file = _File.model_validate_json(raw)
            attested = decode(base64.b64decode(file.attested, validate=True), Attested)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            field = ".".join(map(str, first["loc"]))
            raise BadInput(f"not saved evidence: {field or 'it'}: {first['msg']}", where=where) from None
        except (ValueError, RemoteProtocolError) as error:
            raise BadInput(f"not saved evidence: attested: {error}", where=where) from None
        return cls(
            file.provider,
            file.saved_at,
            bytes.fromhex(file.nonce),
            bytes.fromhex(file.peer_id),
            attested,
        )
