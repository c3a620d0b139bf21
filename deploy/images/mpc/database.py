# SPDX-License-Identifier: Apache-2.0
"""What a node's instances share, in its PostgreSQL: which of them has a session, and shares of keys."""

import asyncio
from typing import Any

import psycopg

TABLES = """
CREATE TABLE IF NOT EXISTS sessions (id text PRIMARY KEY, instance text NOT NULL);
CREATE TABLE IF NOT EXISTS keys (name text PRIMARY KEY, share text NOT NULL, public text NOT NULL);
"""
MADE_IN_TURN = "SELECT pg_advisory_xact_lock(3)"
"""One instance after the other: two that begin together would both make the tables."""


class Database:
    """One connection, made anew when it is lost; one question at a time."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._turn = asyncio.Lock()

    async def ask(self, question: str, *values: str) -> tuple[Any, ...] | None:
        """The first row; psycopg.Error where the database does not answer, a second time."""
        async with self._turn:
            try:
                return await self._once(question, values)
            except psycopg.OperationalError:
                await self._close()
            try:
                return await self._once(question, values)
            except psycopg.OperationalError:
                await self._close()
                raise

    async def holder(self, session: str) -> str | None:
        """The instance that has the session; None where the node does not know it."""
        row = await self.ask("SELECT instance FROM sessions WHERE id = %s", session)
        return None if row is None else str(row[0])

    async def take(self, session: str, instance: str) -> str:
        """Who has the session now: *instance*, where nobody had it before."""
        await self.ask(
            "INSERT INTO sessions (id, instance) VALUES (%s, %s) ON CONFLICT DO NOTHING", session, instance
        )
        return await self.holder(session) or instance

    async def forget(self, session: str) -> None:
        """A session that ended well may be begun again."""
        await self.ask("DELETE FROM sessions WHERE id = %s", session)

    async def keep_key(self, name: str, share: str, public: str) -> None:
        """A key's share stays; psycopg.errors.UniqueViolation where there is a key of that name."""
        await self.ask("INSERT INTO keys (name, share, public) VALUES (%s, %s, %s)", name, share, public)

    async def key(self, name: str) -> tuple[str, str] | None:
        """Share and public key."""
        row = await self.ask("SELECT share, public FROM keys WHERE name = %s", name)
        return None if row is None else (str(row[0]), str(row[1]))

    async def _once(self, question: str, values: tuple[str, ...]) -> tuple[Any, ...] | None:
        if self._connection is None:
            made = await psycopg.AsyncConnection.connect(self._address, autocommit=True)
            async with made.transaction():
                await made.execute(MADE_IN_TURN)
                await made.execute(TABLES)
            self._connection = made
        cursor = await self._connection.execute(question, values)
        return await cursor.fetchone() if cursor.description else None

    async def _close(self) -> None:
        lost, self._connection = self._connection, None
        if lost is not None:
            await lost.close()
