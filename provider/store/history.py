# SPDX-License-Identifier: Apache-2.0
"""What happened to a pod, and which requests were seen: both bounded."""

from sqlalchemy import ColumnElement, delete, select

from trustedpods.protocol.errors import Refused
from trustedpods.protocol.ids import ChannelId, channel_hex
from trustedpods.protocol.messages.base import sendable
from trustedpods.protocol.messages.pod import PodEvent
from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.store.database import Tx
from trustedpods.provider.store.engines.dialects import insert
from trustedpods.provider.store.tables import EVENTS, NONCES

KEPT_EVENTS = 200
"""Events of one pod that are kept; a status reply carries up to 256."""


def note(
    tx: Tx, channel: ChannelId, at: UnixSeconds, reason: str, text: str, most: int = KEPT_EVENTS
) -> None:
    """Append an event; the oldest beyond `KEPT_EVENTS` go, and of the same reason those beyond *most*."""
    key = channel_hex(channel)
    tx.connection.execute(
        insert(tx.connection, EVENTS).values(
            channel=key, at=at, reason=reason[:64], sealed_text=tx.vault.seal_text(sendable(text))
        )
    )
    _forget_oldest(tx, KEPT_EVENTS, EVENTS.c.channel == key)
    if most < KEPT_EVENTS:
        _forget_oldest(tx, most, EVENTS.c.channel == key, EVENTS.c.reason == reason[:64])


def _forget_oldest(tx: Tx, kept: int, *which: ColumnElement[bool]) -> None:
    newest = select(EVENTS.c.id).where(*which).order_by(EVENTS.c.id.desc()).offset(kept).limit(1)
    tx.connection.execute(delete(EVENTS).where(*which, EVENTS.c.id <= newest.scalar_subquery()))


def events(tx: Tx, channel: ChannelId, count: int = 64) -> list[PodEvent]:
    """The last *count* events, oldest first."""
    query = select(EVENTS).where(EVENTS.c.channel == channel_hex(channel)).order_by(EVENTS.c.id.desc())
    rows = tx.connection.execute(query.limit(count)).all()
    return [
        PodEvent(at=row.at, reason=row.reason, text=tx.vault.open_text(row.sealed_text))
        for row in reversed(rows)
    ]


def nonce_seen(tx: Tx, nonce: bytes) -> bool:
    """Whether a request with this nonce is remembered."""
    return tx.connection.execute(select(NONCES.c.nonce).where(NONCES.c.nonce == nonce)).first() is not None


def use_nonce(tx: Tx, nonce: bytes, expiry: UnixSeconds, now: UnixSeconds) -> None:
    """Remember a request until it expires; Refused when it was seen before."""
    tx.connection.execute(delete(NONCES).where(NONCES.c.expiry < now))
    statement = insert(tx.connection, NONCES).values(nonce=nonce, expiry=expiry)
    new = statement.on_conflict_do_nothing(index_elements=["nonce"]).returning(NONCES.c.nonce)
    if tx.connection.execute(new).first() is None:
        raise Refused("this request was seen before", rule="replay")
