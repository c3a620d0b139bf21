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
from trustedpods.provider.billing.meter import Meter
from trustedpods.provider.billing.settlement import Settlement
from trustedpods.provider.core.pod import Phase
from trustedpods.provider.doors import Doors
from trustedpods.provider.keys.boot import BootKeys
from trustedpods.provider.pods.records import Pods
from trustedpods.provider.store import Vault, claims, open_store
from trustedpods.provider.store.spool import Spool
from trustedpods.provider.tee import NoTee

ROUNDS = 250
PAUSE_S = 0.4
FINALITY = 1


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

    def chain(self):
        chain_id, payments, registry, token = self.market
        market = Market(chain_id, payments, registry, token, FINALITY)
        return Chain(self.rpc, market, journal=Path(self.folder) / "transactions")

    @property
    def keys(self):
        return BootKeys.load_or_create(Path(self.folder) / "keys", require_tmpfs=False)

    def open_store(self):
        return open_store(Path(self.folder) / "books" / "store.db", Vault(b"v" * 32))


class Deadly(Points):
    """Points at which the process really dies."""

    async def passed(self, name):
        number = len(self.names)
        self.names.append(name)
        if number == self.stop_at:
            os.kill(os.getpid(), signal.SIGKILL)


async def settle(told, points):
    async with told.chain() as chain, told.open_store() as store:
        config = config_of(Path(told.folder), chain, told.owner, claim_interval_s=50)
        market = config.market.model_copy(update={"finality_blocks": FINALITY})
        doors = Doors(
            config=config.model_copy(update={"market": market}),
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
        settlement = Settlement(doors, pods, Meter(doors, pods))
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
    points = Deadly(stop_at=told.stop_at, armed=True)
    trio.run(settle, told, points)
    sys.stdout.write(json.dumps(points.names))


if __name__ == "__main__":
    main()
