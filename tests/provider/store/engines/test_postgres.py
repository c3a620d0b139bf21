# SPDX-License-Identifier: Apache-2.0
"""The books in a real PostgreSQL: one writer, lost connections, a server that is away, frozen daemons."""

import socket
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import trio
from sqlalchemy import event, text
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from tests.fakes.provider.records import pod_record
from tests.provider.store.conftest import MINE
from tests.provider.store.engines.server import postgres_server
from trustedpods.protocol.errors import BadInput, Locked, StoreFailure
from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.core.disk import DiskState
from trustedpods.provider.store import Vault, boots, open_books, pods
from trustedpods.provider.store.engines import writers
from trustedpods.provider.store.engines.postgres import PostgresDatabase, PostgresPatience, parse
from trustedpods.provider.store.failures import PASSING
from trustedpods.provider.store.tables import WRITERS

RECORD = pod_record()
VAULT = Vault(b"k" * 32)
BOOT = b"b" * 32


@pytest.fixture
def url(postgres, migrated):
    with postgres.database(migrated) as url:
        yield url


@pytest.fixture
def opened(url, tmp_path):
    """Opens the books as the daemon of a node."""

    @asynccontextmanager
    async def by(holder, url=url, mine=MINE, **patience):
        books = PostgresDatabase(parse(url), holder, mine, PostgresPatience(**patience))
        async with open_books(books, tmp_path, VAULT) as store:
            yield store

    return by


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("mysql://u@h/d", "write postgresql://"),
        ("postgresql://h/d", "write postgresql://"),
        ("postgresql://u@h", "write postgresql://"),
        ("postgresql://u@h:port/d", "write postgresql://"),
        ("postgresql://u:secret@h/d", "a password does not belong here"),
        ("postgresql://u@h/d?options=-c", "options is no known word"),
    ],
)
def test_a_url_that_is_none_is_refused_by_name_and_without_its_password(written, why):
    with pytest.raises(BadInput, match=why) as caught:
        parse(written)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("written", "mode"),
    [
        ("postgresql://u@db.example.org/d", "verify-full"),
        ("postgresql://u@/d?host=/run/postgresql,db.example.org", "verify-full"),
        ("postgresql://u@localhost/d?host=db.example.org", "verify-full"),
        ("postgresql://u@/d?host=/run/postgresql&host=db.example.org:5433", "verify-full"),
        ("postgresql://u@127.0.0.1,db.example.org/d", "verify-full"),
        ("postgresql://u@localhost,127.0.0.1/d?host=/run/postgresql,::1", None),
        ("postgresql://u@/d?host=localhost:5433", None),
        ("postgresql://u@/d?host=db.example.org", "verify-full"),
        ("postgresql://u@db.example.org/d?sslmode=require", "require"),
        ("postgresql://u@127.0.0.1:5433/d", None),
        ("postgresql://u@/d?host=/run/postgresql", None),
    ],
)
def test_a_server_elsewhere_proves_who_it_is_unless_its_url_says_otherwise(written, mode):
    assert parse(written).query.get("sslmode") == mode


def test_of_several_servers_the_one_that_can_be_written_is_asked_for_unless_the_url_says_otherwise():
    several = "postgresql://u@/d?host=a.example.org,b.example.org"
    assert parse(several).query["target_session_attrs"] == "read-write"
    assert parse(f"{several}&target_session_attrs=primary").query["target_session_attrs"] == "primary"


async def test_the_first_server_that_answers_may_be_a_replica(opened, postgres, url):
    name = parse(url).database
    with postgres_server() as replica:
        replica.ask(f"CREATE DATABASE {name}")
        replica.ask(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        both = f"postgresql://trustedpods@/{name}?host={replica.folder},{postgres.folder}"
        async with opened("node-1", both) as store:
            await store.write(boots.counted, BOOT, UnixSeconds(7))
    async with opened("node-1") as store:
        assert await store.read(boots.last_counted, BOOT) == 7


@pytest.mark.parametrize("asked", ["", "&target_session_attrs=any"])
async def test_books_that_only_a_replica_has_pass_by_themselves(opened, postgres, url, asked):
    name = parse(url).database
    postgres.ask(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    with pytest.raises(StoreFailure) as caught:
        async with opened("node-1", url + asked):
            pass
    assert caught.value.rule in PASSING
    postgres.ask(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    async with opened("node-1", url + asked):
        pass


async def test_connections_to_a_server_that_became_a_replica_are_made_anew(opened, postgres, url):
    """Behind a name or a proxy that leads elsewhere after a fail-over the old session may live on."""
    name = parse(url).database
    async with opened("node-1", url) as store:
        turned = []

        def refuse_writes(connection, *_):
            if not turned:
                turned.append(True)
                connection.connection.driver_connection.execute("SET transaction_read_only = on")

        event.listen(store._engine, "before_cursor_execute", refuse_writes)
        before = sessions(postgres, name)
        with pytest.raises(StoreFailure) as caught:
            await store.write(boots.counted, BOOT, UnixSeconds(1))
        assert caught.value.rule == "store-away"
        await store.write(boots.counted, BOOT, UnixSeconds(2))
        assert sessions(postgres, name).isdisjoint(before)


def sessions(postgres, name):
    return {pid for (pid,) in postgres.ask(f"SELECT pid FROM pg_stat_activity WHERE datname = '{name}'")}


async def test_the_daemon_that_took_over_is_the_only_one_that_writes(opened):
    async with opened("node-1") as first:
        await first.write(pods.save, RECORD)
        async with opened("node-2") as second:
            await second.write(boots.counted, BOOT, UnixSeconds(7))
            for _ in range(2):
                with pytest.raises(Locked, match="node-2 took the books over") as caught:
                    await first.write(boots.counted, BOOT, UnixSeconds(9))
                assert caught.value.rule == "taken-over"
            assert await first.read(pods.load, RECORD.channel) == RECORD
            assert await second.read(boots.last_counted, BOOT) == 7
            await second.write(boots.counted, BOOT, UnixSeconds(8))
        with trio.fail_after(1), pytest.raises(Locked, match="node-2"):
            await first.until_lost()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("chain_id", 8453),
        ("payments", "0x" + "c" * 40),
        ("owner", "0x" + "c" * 40),
        ("daemon", 2),
        ("cluster", "another"),
    ],
)
async def test_a_daemon_with_another_ones_database_line_is_refused_and_disturbs_nobody(opened, field, value):
    async with opened("node-1") as first:
        with pytest.raises(BadInput, match=f"belong to {field} .* \\(here {value}\\)") as caught:
            async with opened("node-2", mine=replace(MINE, **{field: value})):
                pass
        assert "a database of its own" in caught.value.hint
        await first.write(boots.counted, BOOT, UnixSeconds(7))
    async with opened("node-3") as standby:
        assert await standby.read(boots.last_counted, BOOT) == 7


async def test_a_frozen_daemons_transaction_keeps_the_next_daemon_out_for_seconds_only(opened):
    async with opened("node-1", idle_in_transaction_ms=300) as first:
        begun, go_on = trio.Event(), trio.Event()

        def frozen(tx):
            boots.counted(tx, BOOT, UnixSeconds(9))
            trio.from_thread.run_sync(begun.set)
            trio.from_thread.run(go_on.wait)
            boots.counted(tx, BOOT, UnixSeconds(10))

        async with trio.open_nursery() as nursery:
            refused = trio.Event()

            async def write():
                with pytest.raises(StoreFailure, match="cannot be written") as caught:
                    await first.write(frozen)
                assert caught.value.rule == "store-away"
                refused.set()

            nursery.start_soon(write)
            await begun.wait()
            with trio.fail_after(10):
                async with opened("node-2") as second:
                    go_on.set()
                    await refused.wait()
                    assert await second.read(boots.last_counted, BOOT) is None
                    with pytest.raises(Locked):
                        await first.write(boots.counted, BOOT, UnixSeconds(11))


async def test_a_read_sees_one_moment_and_cannot_write(opened):
    async with opened("node-1") as store:
        await store.write(boots.counted, BOOT, UnixSeconds(1))
        first, written = trio.Event(), trio.Event()

        def twice(tx):
            before = boots.last_counted(tx, BOOT)
            trio.from_thread.run_sync(first.set)
            trio.from_thread.run(written.wait)
            return before, boots.last_counted(tx, BOOT)

        async def write_between():
            await first.wait()
            await store.write(boots.counted, BOOT, UnixSeconds(2))
            written.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(write_between)
            assert await store.read(twice) == (1, 1)
        with pytest.raises(StoreFailure) as caught:
            await store.read(boots.counted, BOOT, UnixSeconds(3))
        assert caught.value.rule == "store-away"


async def test_connections_that_were_cut_are_made_anew_and_nothing_is_lost(opened, postgres):
    async with opened("node-1") as store:
        for number in range(1, 4):
            await store.write(boots.counted, BOOT, UnixSeconds(number))
            postgres.cut_connections()
            assert await store.read(boots.last_counted, BOOT) == number
        cut_in = Cut(store, postgres, "INSERT INTO boots")
        with pytest.raises(StoreFailure, match="cannot be written") as caught:
            await store.write(boots.counted, BOOT, UnixSeconds(9))
        assert (caught.value.rule, store.disk.state, cut_in.times) == ("store-away", DiskState.FAILING, 1)
        assert await store.read(boots.last_counted, BOOT) == 3
        await store.write(boots.counted, BOOT, UnixSeconds(4))
        assert store.disk.state is DiskState.GOOD
        assert await store.read(boots.last_counted, BOOT) == 4


class Cut:
    """Ends the daemon's sessions once, before a statement that begins so."""

    def __init__(self, store, postgres, begins):
        self.times, self._postgres, self._begins = 0, postgres, begins
        event.listen(store._engine, "before_cursor_execute", self._judge)

    def _judge(self, _connection, _cursor, statement, *_):
        if not self.times and statement.startswith(self._begins):
            self.times += 1
            self._postgres.cut_connections()


@pytest.mark.parametrize("made", [True, False])
async def test_a_connection_lost_in_the_commit_is_looked_into(opened, postgres, made):
    """The server may have made the write whose answer never came: the row of the writers knows."""
    async with opened("node-1") as store:
        await store.write(boots.counted, BOOT, UnixSeconds(1))
        LostCommit(store, postgres, made=made)
        if made:
            await store.write(boots.counted, BOOT, UnixSeconds(2))
        else:
            with pytest.raises(StoreFailure) as caught:
                await store.write(boots.counted, BOOT, UnixSeconds(2))
            assert caught.value.rule == "store-away"
        assert await store.read(boots.last_counted, BOOT) == (2 if made else 1)
        await store.write(boots.counted, BOOT, UnixSeconds(3))
        assert await store.read(boots.last_counted, BOOT) == 3


async def test_a_lost_commit_is_looked_into_while_all_readers_are_busy(opened, postgres):
    async with opened("node-1") as store:
        await store.write(boots.counted, BOOT, UnixSeconds(1))
        go_on, reading = trio.Event(), []

        def slow(tx):
            boots.last_counted(tx, BOOT)
            trio.from_thread.run_sync(reading.append, tx)
            trio.from_thread.run(go_on.wait)

        async def read_until_cut_off():
            with pytest.raises(StoreFailure):
                await store.read(slow)

        async with trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(read_until_cut_off)
            with trio.fail_after(30):
                while len(reading) < 4:
                    await trio.sleep(0.01)
            LostCommit(store, postgres, made=True)
            await store.write(boots.counted, BOOT, UnixSeconds(2))
            go_on.set()
        assert await store.read(boots.last_counted, BOOT) == 2


@pytest.mark.parametrize("why", ["no answer", "no connection"])
async def test_a_write_that_was_made_after_it_was_given_up_ends_the_daemon(
    opened, postgres, monkeypatch, why
):
    async with opened("node-1") as store:
        LostCommit(store, postgres, made=True)
        with monkeypatch.context() as patch:
            patch.setattr(writers, "made", never_answers if why == "no answer" else never_asked)
            with pytest.raises(StoreFailure):
                await store.write(boots.counted, BOOT, UnixSeconds(2))
        with pytest.raises(Locked, match="had been made after all") as caught:
            await store.write(boots.counted, BOOT, UnixSeconds(3))
        assert caught.value.rule == "unsure-write"
        with trio.fail_after(1), pytest.raises(Locked):
            await store.until_lost()


def never_answers(connection, _turn):
    connection.execute(text("SET statement_timeout = 1"))
    connection.execute(text("SELECT pg_sleep(5)"))


def never_asked(_connection, _turn):
    raise NoConnectionFree("QueuePool limit reached")


class LostCommit:
    """The session of the next commit ends, before or behind the server's making it."""

    def __init__(self, store, postgres, *, made):
        self._dialect, self._postgres, self._made = store._engine.dialect, postgres, made
        self._dialect.do_commit = self._commit

    def _commit(self, connection):
        del self._dialect.do_commit
        if self._made:
            connection.commit()
        self._postgres.cut_connections()
        connection.execute("SELECT 1")


async def test_a_server_that_is_not_there_is_told_in_one_message(opened):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with pytest.raises(StoreFailure, match="cannot be opened") as caught:
            async with opened("node-1", f"postgresql://u@127.0.0.1:{port}/d"):
                pass
    assert (caught.value.rule, "\n" in str(caught.value)) == ("store-away", False)
    assert str(caught.value).startswith(f"postgresql://u@127.0.0.1:{port}/d: ")


async def test_a_server_that_says_nothing_is_given_up_in_time(opened):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with trio.fail_after(30), pytest.raises(StoreFailure) as caught:
            async with opened("node-1", f"postgresql://u@127.0.0.1:{port}/d", connect_s=2):
                pass
    assert caught.value.rule == "store-away"


async def test_a_database_that_is_not_there_or_not_ours_is_told(opened, postgres, url):
    with pytest.raises(StoreFailure) as caught:
        async with opened("node-1", postgres.url("nowhere")):
            pass
    assert caught.value.rule == "store-away"
    postgres.ask("DROP ROLE IF EXISTS stranger")
    postgres.ask("CREATE ROLE stranger LOGIN")
    with pytest.raises(StoreFailure) as caught:
        async with opened("node-1", url.replace("trustedpods@", "stranger@")):
            pass
    assert caught.value.rule == "store-denied"


async def test_numbers_of_64_bits_are_kept(opened):
    async with opened("node-1") as store:
        await store.write(boots.counted, BOOT, UnixSeconds(2**62))
        assert await store.read(boots.last_counted, BOOT) == 2**62


async def test_each_take_over_has_a_higher_number(opened, url):
    numbers = []
    for holder in ("node-1", "node-2", "node-1"):
        async with opened(holder) as store:
            await store.write(boots.counted, BOOT, UnixSeconds(1))
            row = await store.read(lambda tx: tx.connection.execute(WRITERS.select()).one())
            numbers.append((row.number, row.written, row.holder))
    assert numbers == [(1, 1, "node-1"), (2, 1, "node-2"), (3, 1, "node-1")]
