# SPDX-License-Identifier: Apache-2.0
"""What a backup holds: its parts, one for each volume of each replica, with the seals that they must have."""

from typing import Annotated, Literal

from pydantic import Field

from trustedpods.protocol.messages.base import U32, U64, Bytes32, Message, ShortText

MAX_PARTS = 1024
"""Volumes of all replicas of a pod: a manifest has far fewer."""


class BackupPart(Message):
    """One volume of one replica as a tar stream: *size* bytes whose SHA-256 is *digest*.

    *ordinal* is the replica's number, None where replicas have none. *salt* makes the key.
    """

    volume: ShortText
    ordinal: U32 | None
    size: U64
    digest: Bytes32
    salt: Bytes32

    @property
    def file(self) -> str:
        """The name of its file: volumes' names have no dot."""
        return f"{self.volume}.sealed" if self.ordinal is None else f"{self.volume}.{self.ordinal}.sealed"

    @property
    def named(self) -> str:
        """As it is told to a person."""
        return self.volume if self.ordinal is None else f"{self.volume} of replica {self.ordinal}"


class BackupIndex(Message):
    """A whole backup: taken from *began* to *ended* (Unix seconds)."""

    kind: Literal["backup-index"] = "backup-index"
    pod: ShortText
    began: U64
    ended: U64
    parts: Annotated[list[BackupPart], Field(min_length=1, max_length=MAX_PARTS)]
