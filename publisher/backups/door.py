# SPDX-License-Identifier: Apache-2.0
"""The door to where backups are kept: named objects of bounded size, which appear whole or not at all.

Whoever keeps a store is not believed: what is read back is bounded here, and opened against its seal by
`pod_backups`. All methods block; verbs call them in threads.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.limits import MIB

MAX_OBJECT: Final = 9 * MIB
"""Bytes of one object: eight sealed chunks, with room. It is in memory whole, and sent anew after a fault."""

MAX_LISTED: Final = 200_000
"""Names of one listing: 1.6 TB of a pod's backups. A store that goes on beyond it is not followed."""

MAX_SHOWN: Final = 300
"""Characters of a store's own words that are told."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}(/[A-Za-z0-9][A-Za-z0-9._-]{0,127}){0,5}", re.ASCII)


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object of a listing: its name, and its bytes by the word of the store."""

    name: str
    size: int


class ObjectStore(Protocol):
    """Where backups are kept. Every method raises `StoreFailure`, and no other error, where it fails.

    Names are words divided by slashes (`check_object_name`). `where` is the place as a person wrote it.
    """

    @property
    def where(self) -> str:
        """The place, for errors: without credentials."""
        ...

    def put(self, name: str, data: bytes) -> None:
        """Keep *data* as *name*, in place of what was there; when it returns it is kept for good."""
        ...

    def get(self, name: str, most: int) -> bytes | None:
        """The object's bytes, None where there is none; `StoreFailure` for one of more than *most* bytes."""
        ...

    def listed(self, prefix: str) -> Iterator[StoredObject]:
        """All objects below the words of *prefix*, and no other, in no order."""
        ...

    def delete(self, name: str) -> None:
        """It is not there any more, or was not."""
        ...


def check_object_name(name: str) -> str:
    """*name*, if it is one that every store takes and none can misread as a way out of its place."""
    if not _NAME.fullmatch(name):
        raise BadInput(f"{name[:64]!r} is no name of an object")
    return name


def is_object_name(name: str) -> bool:
    """Whether a name that a store told may be one of ours."""
    return _NAME.fullmatch(name) is not None
