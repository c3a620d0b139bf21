# SPDX-License-Identifier: Apache-2.0
"""When each boot of the machine was last known to count: what came after it, nobody saw."""

from sqlalchemy import func, select

from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.store.database import Tx
from trustedpods.provider.store.engines.dialects import Larger, insert
from trustedpods.provider.store.tables import BOOTS


def counted(tx: Tx, boot_id: bytes, at: UnixSeconds) -> None:
    """Boot *boot_id* looked at every replica at *at*; an earlier time changes nothing."""
    statement = insert(tx.connection, BOOTS).values(boot_id=boot_id, last_counted=at)
    newer = Larger(BOOTS.c.last_counted, statement.excluded.last_counted)
    tx.connection.execute(
        statement.on_conflict_do_update(index_elements=["boot_id"], set_={"last_counted": newer})
    )


def last_counted_by_any(tx: Tx) -> UnixSeconds | None:
    """When anybody last looked at every replica: this boot, or the one that it took over from."""
    found = tx.connection.execute(select(func.max(BOOTS.c.last_counted))).scalar()
    return None if found is None else UnixSeconds(found)


def last_counted(tx: Tx, boot_id: bytes) -> UnixSeconds | None:
    """When *boot_id* last looked at every replica; None when it never did."""
    found = tx.connection.execute(select(BOOTS.c.last_counted).where(BOOTS.c.boot_id == boot_id)).scalar()
    return None if found is None else UnixSeconds(found)
