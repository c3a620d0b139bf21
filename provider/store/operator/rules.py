# SPDX-License-Identifier: Apache-2.0
"""Whom the operator lets in, as it stands in the books."""

from dataclasses import dataclass

from sqlalchemy import delete, select

from trustedpods.protocol.ids import Address
from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.store.database import Tx
from trustedpods.provider.store.engines.dialects import insert
from trustedpods.provider.store.tables import DENIED, DRAINING

_ONLY_ROW = 1


@dataclass(frozen=True, slots=True)
class Rules:
    """Why the provider is being drained (None: it is not), and who is kept out.

    `drain_at`: the pods that are here run until then (Unix seconds); None: they were sent away at once.
    """

    draining: str | None = None
    denied: frozenset[Address] = frozenset()
    drain_at: UnixSeconds | None = None


def load(tx: Tx) -> Rules:
    """What was said last."""
    draining = tx.connection.execute(select(DRAINING.c.reason, DRAINING.c.at)).one_or_none()
    denied = tx.connection.execute(select(DENIED.c.publisher)).scalars()
    kept_out = frozenset(Address(one) for one in denied)
    return Rules(None, kept_out) if draining is None else Rules(draining.reason, kept_out, draining.at)


def drain(tx: Tx, reason: str | None, at: UnixSeconds | None = None) -> None:
    """Nobody comes in for *reason* from now on, and who is here goes *at* that time; None ends that."""
    tx.connection.execute(delete(DRAINING))
    if reason is not None:
        tx.connection.execute(insert(tx.connection, DRAINING).values(id=_ONLY_ROW, reason=reason, at=at))


def deny(tx: Tx, publisher: Address) -> None:
    """Keep *publisher* out; once more changes nothing."""
    tx.connection.execute(insert(tx.connection, DENIED).values(publisher=publisher).on_conflict_do_nothing())
