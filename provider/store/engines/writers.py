# SPDX-License-Identifier: Apache-2.0
"""The fence: each daemon that takes the books over has a higher number, and every write proves the newest.

A daemon that was frozen, or cut off from Kubernetes, and goes on is told so by its first write. The
row counts writes as well: when the connection is lost during a commit, it tells whether that was made.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, select, update

from trustedpods.protocol.errors import Locked
from trustedpods.provider.store.tables import WRITERS

MAX_HOLDER = 400
"""Characters of a daemon's name: a host's (253) and a path or an id."""

TAKEN_OVER = "taken-over"
UNSURE = "unsure-write"
OF_WRITERS = frozenset({TAKEN_OVER, UNSURE})
"""Rules of Locked: the daemon ends, and what starts it again makes it a standby, or itself anew."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One daemon's time as the writer: its number, and how many writes it has made."""

    number: int
    written: int

    def after_one_more(self) -> "Turn":
        """The turn when the next write is made."""
        return Turn(self.number, self.written + 1)


def take_over(connection: Connection, holder: str) -> Turn:
    """Make *holder* the writer; waits for the write that is under way, and no later one is made."""
    number = connection.execute(
        update(WRITERS)
        .values(number=WRITERS.c.number + 1, written=0, holder=holder[:MAX_HOLDER])
        .returning(WRITERS.c.number)
    ).scalar_one()
    return Turn(number, 0)


def prove(connection: Connection, turn: Turn, *, unsure: bool) -> None:
    """Take the next write's place in the row; it is held until this transaction ends.

    Locked where another daemon is the writer, and where a write that was given up for lost (*unsure*)
    had been made: what this daemon remembers is not what stands in the books.
    """
    mine = (WRITERS.c.number == turn.number, WRITERS.c.written == turn.written)
    if connection.execute(update(WRITERS).where(*mine).values(written=turn.written + 1)).rowcount == 1:
        return
    found = connection.execute(select(WRITERS)).one()
    if unsure and Turn(found.number, found.written) == turn.after_one_more():
        raise Locked(
            "a write whose connection was lost had been made after all",
            hint="the daemon has to start again, and reads its books anew",
            rule=UNSURE,
        )
    raise Locked(f"{found.holder or 'another daemon'} took the books over", rule=TAKEN_OVER)


def made(connection: Connection, turn: Turn) -> bool:
    """Whether the write behind *turn* is in the books; waits for one that the server is still making."""
    found = connection.execute(select(WRITERS.c.number, WRITERS.c.written).with_for_update()).one()
    return Turn(found.number, found.written) == turn.after_one_more()
