# SPDX-License-Identifier: Apache-2.0
"""A backup that is being made: pieces go to the store as they are full, the index when all are there."""

import hashlib

from trustedpods.protocol.codec import encode
from trustedpods.protocol.errors import StoreFailure
from trustedpods.publisher.backups.index import PIECE, BackupIndex, BackupPart, piece_name
from trustedpods.publisher.backups.pod_backups import PodBackups, StoredBackup, backup_name, begun_at
from trustedpods.publisher.backups.sealing import StreamSealer, seal_index


def begin(backups: PodBackups, maker: str, now: int) -> "NewBackup":
    """A backup that *maker* begins at *now* (Unix seconds); only while it makes no other of this pod.

    What it did not end before is taken away. Its second is *now*, or the one after the newest backup's that
    opens, so that a clock that was set back, or is behind another machine's, does not make the newest backup
    the oldest. A name alone is the store's word, and moves no time.
    """
    backups.remove_left_over(maker, now)
    newest = next((name for name in reversed(backups.names()) if backups.opens(name)), None)
    at = now if newest is None else max(now, begun_at(newest) + 1)
    return NewBackup(backups, backup_name(at, maker), now)


class NewBackup:
    """Parts are added one after another; until `finish` nobody takes it for a backup."""

    def __init__(self, backups: PodBackups, name: str, began: int) -> None:
        self._backups, self._name, self._began = backups, name, began
        self._parts: list[BackupPart] = []

    def part(self, volume: str, ordinal: int | None) -> "NewPart":
        """The next part, to be written to its end."""
        return NewPart(self._backups, self._name, volume, ordinal)

    def add(self, part: BackupPart) -> None:
        """A part that was written to its end."""
        self._parts.append(part)

    def finish(self, now: int) -> StoredBackup:
        """All parts are there, as the store says itself: from now on it is a backup."""
        pod, store = self._backups.pod, self._backups.store
        top = f"{pod}/data/{self._name}"
        there = {one.name: one.size for one in store.listed(top)}
        for part in self._parts:
            for file, size in part.pieces:
                if there.get(f"{top}/{file}") != size:
                    text = f"what was kept as {file} is not there"
                    hint = "does another program, or another machine, clear this place?"
                    raise StoreFailure(text, where=self._backups.where, rule="backup-store", hint=hint)
        index = BackupIndex(pod=pod, began=self._began, ended=now, parts=self._parts)
        sealed = seal_index(self._backups.secret, f"{pod}/{self._name}", encode(index))
        store.put(f"{pod}/index/{self._name}", sealed)
        return StoredBackup(self._name, index, hashlib.sha256(sealed).digest())


class NewPart:
    """One sealed stream of a backup that is being made."""

    def __init__(self, backups: PodBackups, name: str, volume: str, ordinal: int | None) -> None:
        self._store = backups.store
        self._sealer, self._digest, self.size = StreamSealer(backups.secret), hashlib.sha256(), 0
        self._empty = BackupPart(
            volume=volume, ordinal=ordinal, size=0, digest=bytes(32), salt=self._sealer.salt
        )
        self._top = f"{backups.pod}/data/{name}"
        self._waiting = bytearray()
        self._number = 0

    def write(self, data: bytes) -> None:
        """The next bytes; returns when what is full is in the store."""
        self._digest.update(data)
        self.size += len(data)
        self._waiting += self._sealer.add(data)
        while len(self._waiting) >= PIECE:
            self._put(bytes(self._waiting[:PIECE]))
            del self._waiting[:PIECE]

    def end(self) -> BackupPart:
        """Its last bytes are in the store."""
        self._waiting += self._sealer.end()
        while self._waiting:
            self._put(bytes(self._waiting[:PIECE]))
            del self._waiting[:PIECE]
        return self._empty.model_copy(update={"size": self.size, "digest": self._digest.digest()})

    def _put(self, piece: bytes) -> None:
        self._store.put(f"{self._top}/{piece_name(self._empty.file, self._number)}", piece)
        self._number += 1
