# SPDX-License-Identifier: Apache-2.0
"""The books in a PostgreSQL database, which several machines reach and one daemon at a time writes.

Everything has an end: a connection that does not come, a statement, a lock that somebody holds, and a
transaction whose daemon was frozen, so that it never keeps the next one out.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, ExceptionContext, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from trustedpods.protocol.errors import BadInput
from trustedpods.provider.store.engines import belonging, writers
from trustedpods.provider.store.engines.belonging import Belonging
from trustedpods.provider.store.engines.migrating import migrate
from trustedpods.provider.store.engines.writers import Turn


@dataclass(frozen=True, slots=True)
class PostgresPatience:
    """How long anything may take; *connect_s* in seconds, of which libpq knows two at least, else ms."""

    connect_s: int = 5
    """A server that is there answers in milliseconds; a standby has to find out soon that it is not."""
    pool_s: float = 3.0
    """Nobody waits for one of our own connections, as there is one for each who may ask."""
    statement_ms: int = 10_000
    """The largest question, all ledgers of a full provider, takes a tenth of it."""
    lock_ms: int = 5_000
    idle_in_transaction_ms: int = 3_000
    """A frozen daemon's transaction ends by the server, before those that wait for its lock give up.

    Between two statements of ours lies no I/O: a daemon that is late by seconds is frozen.
    """
    migration_ms: int = 600_000
    """A migration may rewrite a table that grew for years; between its statements scripts are read."""


USUAL = PostgresPatience()

KEEPALIVE = {
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""Seconds, and milliseconds for the last: a server whose machine died is noticed like one that refuses."""

POOL = 6
"""Four readers and the writer (`store.database`), and the one that asks whether a lost commit was made."""

READ_ONLY = "25006"
"""SQLSTATE read_only_sql_transaction: this server is a replica, since a fail-over perhaps."""

_WORDS = frozenset(
    {"host", "passfile", "sslmode", "sslrootcert", "sslcert", "sslkey", "target_session_attrs"}
)
"""What a URL may say behind its question mark, by libpq's names."""

_KEY = "store.database"
_FORM = "write postgresql://USER@HOST:PORT/DATABASE"
_LOCAL = ("", "localhost", "127.0.0.1", "::1")


def parse(database: str) -> URL:
    """The URL of the configuration, checked; BadInput says what is wrong, and shows no password.

    Unless it says otherwise, of several servers the one that can be written is taken, and beyond this
    machine a server's certificate is verified (`sslmode=verify-full`).
    """
    try:
        url = make_url(database)
    except (ArgumentError, ValueError):
        raise BadInput(_FORM, where=_KEY) from None
    if url.drivername != "postgresql" or not url.database or not url.username:
        raise BadInput(_FORM, where=_KEY)
    if url.password is not None:
        raise BadInput(
            "a password does not belong here",
            hint="name a file that holds it: ?passfile=/etc/trustedpods/pgpass",
        )
    unknown = sorted(set(url.query) - _WORDS)
    if unknown:
        raise BadInput(
            f"{unknown[0]} is no known word", where=_KEY, hint=f"known are {', '.join(sorted(_WORDS))}"
        )
    implied = {"target_session_attrs": "read-write"}
    if not _on_this_machine(url):
        implied["sslmode"] = "verify-full"
    return url.update_query_dict({**implied, **url.query})


def name_of(url: URL) -> str:
    """What errors call the database; no secret is in it."""
    return url.render_as_string(hide_password=True).partition("?")[0]


def _on_this_machine(url: URL) -> bool:
    """Whether every server that may be asked is here; in either place a host is a list by commas."""
    more = url.query.get("host", ())
    places = [url.host or "", *([more] if isinstance(more, str) else more)]
    return all(_is_local(host) for place in places for host in place.split(","))


def _is_local(host: str) -> bool:
    name, colon, port = host.partition(":")
    return host in _LOCAL or host.startswith("/") or (name in _LOCAL and bool(colon) and port.isdigit())


class PostgresDatabase:
    """The books in the database of *url*, which are *mine*; *holder* is what this daemon is called there."""

    on_our_disk = False

    def __init__(self, url: URL, holder: str, mine: Belonging, patience: PostgresPatience = USUAL) -> None:
        self.name = name_of(url)
        self._holder, self._mine = holder, mine
        self.engine = _engine(url, patience)
        self._migration_ms = patience.migration_ms
        self._readers = self.engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        self._turn = Turn(0, 0)
        self._unsure = False

    def open(self) -> None:
        """Migrate and take the fence in one transaction: no older daemon writes between the two.

        BadInput where the books are another daemon's; nothing is changed then, and it goes on.
        """
        with self.engine.begin() as connection:
            for limit in ("statement_timeout", "idle_in_transaction_session_timeout"):
                connection.execute(text(f"SET LOCAL {limit} = {self._migration_ms}"))
            migrate(connection)
            belonging.check(connection, self._mine)
            self._turn = writers.take_over(connection, self._holder)
        self._unsure = False

    def reading(self) -> AbstractContextManager[Connection]:
        """A transaction of one snapshot that cannot write."""
        return self._readers.connect()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction behind the fence; one lost in its commit is looked for before it is given up."""
        with self.engine.connect() as connection, connection.begin() as transaction:
            writers.prove(connection, self._turn, unsure=self._unsure)
            self._unsure = False
            yield connection
            try:
                transaction.commit()
            except SQLAlchemyError:
                if not self._made_after_all():
                    raise
        self._turn = self._turn.after_one_more()

    def _made_after_all(self) -> bool:
        self._unsure = True  # until the row was read; where that cannot be done the next write finds out
        try:
            with self.engine.connect() as connection:
                found = writers.made(connection, self._turn)
        except SQLAlchemyError:
            return False
        self._unsure = False
        return found


def _engine(url: URL, patience: PostgresPatience) -> Engine:
    options: dict[str, Any] = {
        "connect_timeout": patience.connect_s,
        "application_name": "trustedpods-provider",
        "options": f"-c statement_timeout={patience.statement_ms} -c lock_timeout={patience.lock_ms}"
        f" -c idle_in_transaction_session_timeout={patience.idle_in_transaction_ms}",
        **KEEPALIVE,
    }
    try:
        engine = create_engine(
            url.set(drivername="postgresql+psycopg"),
            connect_args=options,
            pool_size=POOL,
            max_overflow=0,
            pool_timeout=patience.pool_s,
            pool_pre_ping=True,
            hide_parameters=True,
        )
    except ModuleNotFoundError:
        raise BadInput(
            "the driver of PostgreSQL is not installed",
            where=_KEY,
            hint="pip install 'trusted-pods[provider,postgres]'",
        ) from None
    event.listen(engine, "handle_error", _give_up_replicas)
    return engine


def _give_up_replicas(context: ExceptionContext) -> None:
    """Connections to a server that cannot be written any more are made anew, to the one that can."""
    if getattr(context.original_exception, "sqlstate", None) == READ_ONLY:
        context.is_disconnect = True
