# SPDX-License-Identifier: Apache-2.0
"""What a backup holds: its parts, one for each volume of each replica, with the seals that they must have.

A part's sealed stream lies in objects of `PIECE` bytes, numbered from 0; only the last may have fewer.
"""

from typing import Annotated, Literal

from pydantic import Field

from trustedpods.protocol.messages.base import U32, U64, Bytes32, Message, ShortText
from trustedpods.publisher.backups.sealing import SEALED_CHUNK, sealed_size

PIECE = 8 * SEALED_CHUNK
"""Bytes of each object but a part's last: what is sent anew after a fault, and held in memory."""

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
        """The name of its objects, before their number: volumes' names have no dot."""
        return self.volume if self.ordinal is None else f"{self.volume}.{self.ordinal}"

    @property
    def pieces(self) -> list[tuple[str, int]]:
        """Its objects, below the backup's name, each with its exact size."""
        whole = sealed_size(self.size)
        return [
            (piece_name(self.file, number), min(PIECE, whole - start))
            for number, start in enumerate(range(0, whole, PIECE))
        ]

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


def piece_name(file: str, number: int) -> str:
    """The name of a part's object of that *number*."""
    return f"{file}.{number:06}"
