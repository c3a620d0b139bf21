# SPDX-License-Identifier: Apache-2.0
"""A process that settles against a real chain, and kills itself at the crash point that it is told.

`python -m tests.live.clients.settlement_process FILE.json`; prints the names of the points that it passed.
Its store, its signed claims and its transactions lie in a folder that the next such process opens.
"""

import json
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import trio

from tests.fakes.cluster import FakeCluster
from tests.fakes.crash import Door, Points
from tests.fakes.facade import FakeFacade
from tests.fakes.provider.world import FakeRegistry, config_of
from trustedpods.contracts.client import Chain
from trustedpods.contracts.records import Market
from trustedpods.protocol.errors import NetworkFailure
from trustedpods.provider.billing.former_keys import FormerKeys
from trustedpods.provider.billing.meter import Meter
from trustedpods.provider.billing.settlement import Settlement
from trustedpods.provider.core.operator_key.rotation import movable
from trustedpods.provider.core.pod import Phase
from trustedpods.provider.doors import Doors
from trustedpods.provider.keys.boot import BootKeys
from trustedpods.provider.keys.operator_files import read_operator_keys
from trustedpods.provider.pods.records import Pods
from trustedpods.provider.store import Vault, claims, open_books, open_store
from trustedpods.provider.store.engines.belonging import Belonging
from trustedpods.provider.store.engines.postgres import PostgresDatabase, parse
from trustedpods.provider.store.operator.transactions import BooksJournal
from trustedpods.provider.store.spool import Spool
from trustedpods.provider.tee import NoTee

ROUNDS = 250
PAUSE_S = 0.4
FINALITY = 1
BOOKS_OF = Belonging(31337, "0x" + "a" * 40, "0x" + "b" * 40, 1, "11111111-2222-4333-8444-555555555555")


@dataclass
class Told:
    """What the file says."""

    rpc: str
    market: list
    owner: str
    operator_key: str
    folder: str
    now: int
    stop_at: int | None = None
    frozen: bool = False
    """It stops at that point and can go on, instead of being killed."""
    database: str | None = None
    """URL of books that the next process takes over while this one is frozen."""

    coin_moves: bool = False
    """It ends once a former key's coin is with the present one."""

    @property
    def key_file(self):
        return Path(self.folder) / "operator.key"

    def chain(self, store=None):
        chain_id, payments, registry, token = self.market
        market = Market(chain_id, payments, registry, token, FINALITY)
        return Chain(self.rpc, market, journal=None if store is None else BooksJournal(store))

    @property
    def keys(self):
        return BootKeys.load_or_create(Path(self.folder) / "keys", require_tmpfs=False)

    def open_store(self):
        path, vault = Path(self.folder) / "books" / "store.db", Vault(b"v" * 32)
        if self.database is None:
            return open_store(path, vault)
        books = PostgresDatabase(parse(self.database), f"process-{os.getpid()}", BOOKS_OF)
        return open_books(books, Path(self.folder), vault)


@dataclass
class Deadly(Points):
    """Points at which the process really dies, or is frozen."""

    signal: int = signal.SIGKILL

    async def passed(self, name):
        number = len(self.names)
        self.names.append(name)
        if number == self.stop_at:
            os.kill(os.getpid(), self.signal)


async def settle(told, points):
    async with told.open_store() as store, told.chain(Door("store", store, points)) as chain:
        config = config_of(Path(told.folder), chain, told.owner, claim_interval_s=50)
        market = config.market.model_copy(update={"finality_blocks": FINALITY})
        identity = config.identity.model_copy(update={"operator_key_file": str(told.key_file)})
        doors = Doors(
            config=config.model_copy(update={"market": market, "identity": identity}),
            keys=told.keys,
            operator_key=bytes.fromhex(told.operator_key),
            collector=NoTee(),
            store=Door("store", store, points),
            spool=Spool(Path(told.folder) / "spool", 64),
            chain=Door("chain", chain, points),
            cluster=Door("cluster", FakeCluster(), points),
            registry=FakeRegistry(),
            facade=FakeFacade(),
            clock=lambda: told.now,
        )
        pods = Pods(doors)
        await pods.load()
        former_keys = FormerKeys(doors)
        await former_keys.begin()
        settlement = Settlement(doors, pods, Meter(doors, pods))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(former_keys.run)
            await rounds(told, store, chain, pods, settlement)
            if told.coin_moves:
                await until_poor(chain, read_operator_keys(told.key_file).former.address)
            nursery.cancel_scope.cancel()


async def until_poor(chain, former):
    """Until a former key's coin is with the present one."""
    with trio.fail_after(60):
        while movable(await chain.gas_balance(former), await chain.gas_price()):
            await trio.sleep(PAUSE_S)


async def rounds(told, store, chain, pods, settlement):
    for _ in range(ROUNDS):
        for record in pods.standing:
            if record.phase is Phase.REMOVING:
                found = await chain.channel(told.owner, record.channel)
                if found is not None:
                    settlement.close(record.channel, billed=True)
                else:
                    settlement.closed(record.channel)
        try:
            await settlement.tick()
        except NetworkFailure as error:
            sys.stderr.write(f"{error}\n")
        standing = await chain.channels(told.owner, [record.channel for record in pods.standing])
        if None in standing and await store.read(claims.open_claim) is None:
            return
        await trio.sleep(PAUSE_S)


def main():
    told = Told(**json.loads(Path(sys.argv[1]).read_text()))
    how = signal.SIGSTOP if told.frozen else signal.SIGKILL
    points = Deadly(stop_at=told.stop_at, armed=True, signal=how)
    trio.run(settle, told, points)
    sys.stdout.write(json.dumps(points.names))


if __name__ == "__main__":
    main()
