# SPDX-License-Identifier: Apache-2.0
"""Unfinished transactions in the books: as in a file, and who lost the books writes none down."""

import pytest
import trio

from tests.contracts.client.transactions.test_outbox import ONE
from trustedpods.contracts.client.transactions.outbox import Outbox
from trustedpods.protocol.errors import BadInput, Locked, StoreFailure
from trustedpods.provider.store.operator import transactions
from trustedpods.provider.store.operator.transactions import BooksJournal

NAME = "31337-00-0xaa"


async def in_thread(work):
    return await trio.to_thread.run_sync(work)


def put(box, out):
    with box.exclusive() as held:
        held[out.id] = out
        box.save()


def found(box):
    with box.exclusive() as held:
        return dict(held)


async def test_the_daemon_that_takes_over_finds_what_was_written(book):
    async with book() as store:
        box = Outbox(BooksJournal(store), NAME)
        assert await in_thread(lambda: found(box)) == {}
        await in_thread(lambda: put(box, ONE))
        assert await in_thread(lambda: found(Outbox(BooksJournal(store), "another"))) == {}
    async with book(secret=b"o" * 32, holder="node-2") as store:
        assert await in_thread(lambda: found(Outbox(BooksJournal(store), NAME))) == {ONE.id: ONE}


async def test_who_lost_the_books_writes_nothing_down(postgres_book):
    async with postgres_book() as frozen:
        box = Outbox(BooksJournal(frozen), NAME)
        await in_thread(lambda: put(box, ONE))
        async with postgres_book(holder="node-2") as store:
            later = Outbox(BooksJournal(store), NAME)
            with pytest.raises(Locked, match="node-2"):
                await in_thread(lambda: put(box, ONE))
            assert await in_thread(lambda: found(later)) == {ONE.id: ONE}


async def test_what_the_books_cannot_take_is_not_handed_in(book):
    """`_launch` hands in behind `save`: what it raises keeps the transaction here."""
    async with book() as store:
        box = Outbox(BooksJournal(store), NAME)

        def fails(_tx, _pieces):
            raise StoreFailure("the disk is full")

        class Broken:
            read = staticmethod(store.read)

            @staticmethod
            async def write(_change, *arguments):
                await store.write(fails, *arguments)

        broken = Outbox(BooksJournal(Broken()), NAME)
        with pytest.raises(StoreFailure):
            await in_thread(lambda: put(broken, ONE))
        assert await in_thread(lambda: found(box)) == {}


async def test_a_cancelled_caller_does_not_keep_its_thread_from_writing_down(book):
    async with book() as store:
        box, inside = Outbox(BooksJournal(store), NAME), trio.Event()

        def work():
            with box.exclusive() as held:
                trio.from_thread.run_sync(inside.set)
                held[ONE.id] = ONE
                box.save()

        async with trio.open_nursery() as nursery:

            async def cancelled():
                await inside.wait()
                nursery.cancel_scope.cancel()

            nursery.start_soon(cancelled)
            await in_thread(work)
        assert await in_thread(lambda: found(box)) == {ONE.id: ONE}


async def test_a_damaged_row_is_refused_and_named(book):
    async with book() as store:
        await store.write(transactions.save_unfinished, {NAME: b"{}"})
        with pytest.raises(BadInput) as caught:
            await in_thread(lambda: found(Outbox(BooksJournal(store), NAME)))
        assert NAME in caught.value.where
