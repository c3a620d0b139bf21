# SPDX-License-Identifier: Apache-2.0
"""What a store needs of its database, whichever it is."""

from contextlib import AbstractContextManager
from typing import Protocol

from sqlalchemy import Connection, Engine


class Database(Protocol):
    """An open database."""

    @property
    def name(self) -> str:
        """What errors call it; no secret is in it."""

    @property
    def engine(self) -> Engine:
        """Where its connections come from."""

    @property
    def on_our_disk(self) -> bool:
        """Whether room on this machine's disk lets a write through."""

    def open(self) -> None:
        """Make it, or bring it to the newest form; from here on this daemon alone writes."""

    def reading(self) -> AbstractContextManager[Connection]:
        """A transaction that sees one moment."""

    def writing(self) -> AbstractContextManager[Connection]:
        """A transaction that is committed behind the block. Locked where another daemon took over."""
