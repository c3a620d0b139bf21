# SPDX-License-Identifier: Apache-2.0
"""A provider's books, opened from outside: what is written, and what an operator with root could do."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

import trio

from tests.live.localnet_fixture import LiveLocalnet
from trustedpods.localnet.cluster.files import traffic_socket
from trustedpods.provider.cluster.pod_counters import TrafficDoor


@dataclass(frozen=True)
class Books:
    """The SQLite file of a cluster's daemon, which may be running."""

    market: LiveLocalnet
    index: int = 1

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        path = self.market.cluster(self.index).path("provider", "store.db")
        with closing(sqlite3.connect(path, timeout=60)) as connection, connection:
            yield connection

    def rows(self, query: str, *values: object) -> list[tuple[int | str, ...]]:
        with self._open() as connection:
            return connection.execute(query, values).fetchall()

    def change(self, statement: str, *values: object) -> int:
        """Rows that were changed."""
        with self._open() as connection:
            return connection.execute(statement, values).rowcount

    def runs(self, channel: str) -> list[tuple[int | str, ...]]:
        """(uid, started, ended, cpu) of every replica that was billed, oldest first."""
        query = "select uid, started, ended, cpu_milli from runs where channel = ? order by started, uid"
        return self.rows(query, channel)


def counted(market: LiveLocalnet, namespace: str) -> tuple[int, int]:
    """Bytes in and out of the namespace's replicas, as the node's agent has them."""
    found = trio.run(TrafficDoor(traffic_socket(market.cluster())).counters)
    ours = [entry for entry in found if entry.namespace == namespace]
    return sum(entry.ingress_bytes for entry in ours), sum(entry.egress_bytes for entry in ours)
