# SPDX-License-Identifier: Apache-2.0
"""The backups of one pod in a store: each whole or not there, and none believed but where it was sealed for.

    POD/data/20261129T140501Z-3f2a9c1e/data.0.000000     the sealed stream of a volume, piece by piece
    POD/index/20261129T140501Z-3f2a9c1e                  what belongs to it, sealed, written last

A backup is there when its index is: what was cut off before is none, and a later one takes it away. A name
is the second in which it was begun, and who made it.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from trustedpods.protocol.codec import decode
from trustedpods.protocol.errors import BadInput, RemoteProtocolError
from trustedpods.protocol.limits import MAX_MESSAGE
from trustedpods.publisher.backups.door import ObjectStore
from trustedpods.publisher.backups.index import BackupIndex, BackupPart
from trustedpods.publisher.backups.sealing import SEALED_CHUNK, StreamOpener, open_index

LEFT_OVER_S: Final = 7 * 24 * 3600
"""What another machine began and has not ended is taken away after this: no backup takes a week."""

_TIME = "%Y%m%dT%H%M%SZ"
_NAME = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}", re.ASCII)


@dataclass(frozen=True, slots=True)
class StoredBackup:
    """A whole backup: its name, what it holds, and the SHA-256 of its sealed index, which no other has."""

    name: str
    index: BackupIndex
    digest: bytes

    @property
    def size(self) -> int:
        """Bytes of all parts before they were sealed."""
        return sum(part.size for part in self.index.parts)


class PodBackups:
    """The backups of one pod of one publisher. All methods block."""

    def __init__(self, store: ObjectStore, pod: str, secret: bytes) -> None:
        self.store, self.pod, self.secret = store, pod, secret

    @property
    def where(self) -> str:
        """The place of the store, and the pod in it."""
        return f"{self.store.where.rstrip('/')}/{self.pod}"

    def names(self) -> list[str]:
        """Of all whole backups, oldest first."""
        top = f"{self.pod}/index"
        found = [one.name.removeprefix(f"{top}/") for one in self.store.listed(top)]
        return sorted(name for name in found if _NAME.fullmatch(name))

    def chosen(self, wanted: str | None) -> str:
        """The name that *wanted* begins, else the newest; BadInput where there is not exactly one."""
        known = self.names()
        found = [name for name in known if name.startswith(wanted)] if wanted else known[-1:]
        if len(found) != 1 or (wanted and len(wanted) < len("20261129T140501Z")):
            what = f"no backup {wanted or ''} of {self.pod}".replace("  ", " ")
            hint = f"there are: {', '.join(known[-20:])}" if known else "`trustedpods backup` makes one"
            raise BadInput(what, where=self.where, hint=hint)
        return found[0]

    def backup(self, wanted: str | None = None) -> StoredBackup:
        """The backup *wanted*, else the newest; BadInput where it is not there or not whole."""
        return self.named(self.chosen(wanted))

    def named(self, name: str) -> StoredBackup:
        """The backup of exactly this name, of those of `names`; BadInput as `backup`. Nothing is listed."""
        where = f"{self.where}/index/{name}"
        sealed = self.store.get(f"{self.pod}/index/{name}", MAX_MESSAGE)
        if sealed is None:
            raise BadInput("it has gone while it was looked for", where=where)
        try:
            index = decode(open_index(self.secret, f"{self.pod}/{name}", sealed), BackupIndex)
        except BadInput as error:
            raise BadInput(error.what, where=where) from None
        except RemoteProtocolError as error:
            raise BadInput(f"no index of this version: {error.what}", where=where) from None
        return StoredBackup(name, index, hashlib.sha256(sealed).digest())

    def opens(self, name: str) -> bool:
        """Whether it is a backup that was sealed under this name."""
        try:
            self.named(name)
        except BadInput:
            return False
        return True

    def read(self, backup: StoredBackup, part: BackupPart) -> Iterator[bytes]:
        """The part's bytes, chunk by chunk, each of them checked.

        BadInput where an object is not what was sealed, as soon as that shows: what came before is sound, and
        is not the whole.
        """
        opener, digest, pieces = StreamOpener(self.secret, part.salt), hashlib.sha256(), part.pieces
        for number, (file, size) in enumerate(pieces):
            data = self._piece(backup.name, file, size)
            for start in range(0, size, SEALED_CHUNK):
                last = number == len(pieces) - 1 and start + SEALED_CHUNK >= size
                plain = self._opened(opener, data[start : start + SEALED_CHUNK], backup, file, last=last)
                digest.update(plain)
                yield plain
        if digest.digest() != part.digest:
            where = f"{self.where}/data/{backup.name}"
            raise BadInput("its bytes are not those that the index names", where=where)

    def remove(self, name: str) -> None:
        """The index goes first, so that no half backup is ever taken for one."""
        self.store.delete(f"{self.pod}/index/{name}")
        for one in list(self.store.listed(f"{self.pod}/data/{name}")):
            self.store.delete(one.name)

    def keep(self, count: int) -> list[str]:
        """Remove all but the *count* newest that open; their names. One that does not open is left."""
        sound = [name for name in self.names() if self.opens(name)]
        gone = sound[:-count]
        for name in gone:
            self.remove(name)
        return gone

    def remove_left_over(self, maker: str, now: int) -> None:
        """What *maker* began and did not end, and what anybody began a week ago; only while it makes none."""
        whole = set(self.names())
        for one in list(self.store.listed(f"{self.pod}/data")):
            name = one.name.split("/")[2]
            if not _NAME.fullmatch(name) or name in whole:
                continue
            if name.endswith(f"-{maker}") or begun_at(name) < now - LEFT_OVER_S:
                self.store.delete(one.name)

    def _piece(self, name: str, file: str, size: int) -> bytes:
        where = f"{self.where}/data/{name}/{file}"
        data = self.store.get(f"{self.pod}/data/{name}/{file}", size)
        if data is None:
            raise BadInput("it is not there", where=where)
        if len(data) != size:
            raise BadInput(f"it has {len(data)} bytes, not {size}", where=where)
        return data

    def _opened(
        self, opener: StreamOpener, sealed: bytes, backup: StoredBackup, file: str, *, last: bool
    ) -> bytes:
        try:
            return opener.open(sealed, last=last)
        except BadInput as error:
            raise BadInput(error.what, where=f"{self.where}/data/{backup.name}/{file}") from None


def backup_name(now: int, maker: str) -> str:
    """The name of a backup that *maker* (8 hex digits) begins at *now* (Unix seconds)."""
    return f"{datetime.fromtimestamp(now, UTC).strftime(_TIME)}-{maker}"


def begun_at(name: str) -> int:
    """When the backup was begun, by its name; 0 for a time that never was."""
    try:
        return int(datetime.strptime(name.split("-", maxsplit=1)[0], _TIME).replace(tzinfo=UTC).timestamp())
    except ValueError:
        return 0
