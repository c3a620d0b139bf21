# SPDX-License-Identifier: Apache-2.0
"""Whose books these are: a daemon that got another one's `database` line must not act on them."""

from dataclasses import asdict, dataclass

from sqlalchemy import Connection, select

from trustedpods.protocol.errors import BadInput
from trustedpods.provider.store.engines.dialects import insert
from trustedpods.provider.store.tables import BELONGING

_ONLY_ROW = 1


@dataclass(frozen=True, slots=True)
class Belonging:
    """One daemon of one provider in one cluster: what its standbys share, and nobody else."""

    chain_id: int
    payments: str
    """Address of the contract that pays its claims."""
    owner: str
    daemon: int
    cluster: str
    """The uid of the namespace kube-system, which lives as long as its cluster."""


def check(connection: Connection, mine: Belonging) -> None:
    """Bind new books to *mine*; BadInput says in what books that are bound are somebody else's."""
    # A daemon that binds them in this moment is waited for; then its row is the one that is compared.
    connection.execute(
        insert(connection, BELONGING).values(id=_ONLY_ROW, **asdict(mine)).on_conflict_do_nothing()
    )
    found = connection.execute(select(BELONGING)).one()
    differs = [
        f"{name} {getattr(found, name)} (here {value})"
        for name, value in asdict(mine).items()
        if getattr(found, name) != value
    ]
    if differs:
        raise BadInput(
            f"these books belong to {', '.join(differs)}",
            where="store.database",
            hint="give this daemon a database of its own; where its cluster was made anew: docs/operator.md",
        )
