# SPDX-License-Identifier: Apache-2.0
"""The operator's unfinished transactions in the books: written behind the fence before they are sent.

A daemon that was frozen and goes on cannot write one down any more, so it sends none; what it had written
down is met by the daemon that took over, with the same nonce and the same bytes.
"""

from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import trio
from sqlalchemy import delete, select

from trustedpods.protocol.ids import Address
from trustedpods.provider.store.database import Store, Tx
from trustedpods.provider.store.engines.dialects import insert
from trustedpods.provider.store.tables import TRANSACTIONS

_PARTS_OF_A_PIECE = 4


def load_unfinished(tx: Tx, name: str) -> bytes | None:
    """What was saved last under *name*."""
    return tx.connection.execute(
        select(TRANSACTIONS.c.unfinished).where(TRANSACTIONS.c.name == name)
    ).scalar()


def names_of_unfinished(tx: Tx, prefix: str) -> list[str]:
    """Names that begin so."""
    begins = TRANSACTIONS.c.name.startswith(prefix, autoescape=True)
    return list(tx.connection.execute(select(TRANSACTIONS.c.name).where(begins)).scalars())


def has_sent(tx: Tx, chain_id: int, sender: Address) -> bool:
    """Whether that key sent transactions on the chain from these books: its list stays when it is empty."""
    names = names_of_unfinished(tx, f"{chain_id}-")
    return any(sender in name.split("-")[1:] for name in names)


def unfinished_of(tx: Tx, chain_id: int) -> Counter[Address]:
    """How many transactions on the chain are not known to be final, by whose key: pieces beside the lists.

    A name is CHAIN-GENESIS-SENDER, and of a piece that and an id.
    """
    parts = (name.split("-") for name in names_of_unfinished(tx, f"{chain_id}-"))
    return Counter(Address(one[2]) for one in parts if len(one) == _PARTS_OF_A_PIECE)


def save_unfinished(tx: Tx, pieces: Mapping[str, bytes | None]) -> None:
    """Put *pieces* in place of what was there, by name; None takes one away. All or nothing is stored."""
    for name, unfinished in pieces.items():
        if unfinished is None:
            tx.connection.execute(delete(TRANSACTIONS).where(TRANSACTIONS.c.name == name))
            continue
        statement = insert(tx.connection, TRANSACTIONS).values(name=name, unfinished=unfinished)
        changed = {"unfinished": statement.excluded.unfinished}
        tx.connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=changed))


@dataclass(frozen=True, eq=False)
class BooksJournal:
    """Rows of the books for each key and chain; a `TransactionJournal` of the chain's client.

    Its methods are called in threads that trio started. StoreFailure when the books cannot be reached,
    Locked when another daemon has them: then nothing is sent.
    """

    store: Store

    def where(self, name: str) -> str:
        """The row."""
        return f"the books, table {TRANSACTIONS.name}, row {name}"

    def exclusive(self, _name: str, _within_s: float) -> AbstractContextManager[None]:
        """One daemon has the books, and its tasks take turns before they come here."""
        return nullcontext()

    def read(self, name: str, _most: int) -> bytes | None:
        """As it was written; the books are ours."""
        found: bytes | None = trio.from_thread.run(self.store.read, load_unfinished, name)
        return found

    def names(self, prefix: str) -> list[str]:
        """As they are in the books."""
        found: list[str] = trio.from_thread.run(self.store.read, names_of_unfinished, prefix)
        return found

    def write(self, pieces: Mapping[str, bytes | None]) -> None:
        """One transaction behind the fence."""
        trio.from_thread.run(self._save, pieces)

    def permits_lock(self, _name: str) -> Path | None:
        """No other process signs for this key."""
        return None

    async def _save(self, pieces: Mapping[str, bytes | None]) -> None:
        # The thread goes on to its end when its caller is cancelled: what it handed in has to be known.
        with trio.CancelScope(shield=True):
            await self.store.write(save_unfinished, pieces)
