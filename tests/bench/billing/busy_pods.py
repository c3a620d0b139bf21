# SPDX-License-Identifier: Apache-2.0
"""What pods with traffic in every second cost the books, beside a transaction for each; and many claims.

    python -m tests.bench.billing.busy_pods [--pods 1000] [--seconds 120] [--other-seconds 3] [--channels N]

Meter, settlement and store are real, facade and chain are fakes; the meter is told what time it is. The
other side books as the daemon did up to commit 35f8880: for each pod and second a transaction and a row.
Claims are final a virtual minute after they were sent. Ends non-zero when a goal is missed.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import trio
from trio.testing import MockClock

from tests.fakes.facade import FakeFacade
from tests.fakes.provider.world import FakeRegistry, World, config_of
from tests.provider.billing.test_settlement import FINALITY, make_case
from trustedpods.protocol.ids import ChannelId
from trustedpods.protocol.units import KIB, UnixSeconds
from trustedpods.provider.billing.meter import Meter
from trustedpods.provider.core.metering import usage
from trustedpods.provider.core.settlement import MAX_BATCH
from trustedpods.provider.core.traffic import SlotStats, combine, mark_of, traffic_since
from trustedpods.provider.doors import Doors
from trustedpods.provider.facade.pools import Pools
from trustedpods.provider.pods.records import Pods
from trustedpods.provider.store import Store, Vault, ledger, open_store
from trustedpods.provider.store.spool import Spool
from trustedpods.provider.tee import NoTee

MOST_CPU = 0.1
MOST_MB_A_POD_DAY = 0.3
MOST_FINALITIES = 2.0
DAY_S = 86_400
FINAL_AFTER_S = 60.0
BYTES_A_SECOND = 5000
BEGIN = 1_800_000_000
ANSWER_S = 0.05
"""Virtual time stands still for so long, for threads of the store to answer."""


class Side:
    """Pods that have a slot each, and what was booked of them; `now` is the meter's time."""

    def __init__(self, folder: Path, pods: int) -> None:
        self.folder, self.now = folder, BEGIN
        self.slots = {ChannelId(number + 1): number for number in range(pods)}
        self.facade = FakeFacade(Pools(pods, 1, 1))

    def pass_second(self) -> None:
        self.now += 1
        for slot in self.slots.values():
            total, bytes_in, bytes_out = self.facade.traffic.get(slot, (0, 0, 0))
            self.facade.traffic[slot] = (total + 1, bytes_in + 1, bytes_out + BYTES_A_SECOND)

    def meter(self, store: Store) -> Meter:
        world = World(self.folder)
        doors = Doors(
            config=config_of(self.folder, world.chain, world.owner),
            keys=world.keys,
            operator_key=world.operator_key,
            collector=NoTee(),
            store=store,
            spool=Spool(self.folder / "spool", 64),
            chain=world.chain,  # type: ignore[arg-type]
            cluster=world.cluster,  # type: ignore[arg-type]
            registry=FakeRegistry(),  # type: ignore[arg-type]
            facade=self.facade,  # type: ignore[arg-type]
            clock=lambda: float(self.now),
        )
        return Meter(doors, Pods(doors))


async def by_pod(side: Side, store: Store) -> None:
    """A second's traffic as it was booked: a transaction and a row for each pod."""
    readings = await side.facade.stats(side.slots.values())
    for channel, slot in side.slots.items():
        await store.write(_book_alone, channel, combine({slot: readings[slot]}), UnixSeconds(side.now))


def _book_alone(tx: Any, channel: ChannelId, stats: SlotStats, at: UnixSeconds) -> None:
    mark = ledger.load_marks(tx, [channel])[channel]
    passed, after = traffic_since(mark, stats)
    ledger.set_marks(tx, {channel: after})
    ledger.add_traffic(tx, channel, passed, at, since=at)


async def measure(pods: int, seconds: int, *, together: bool) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        side, sizes = Side(Path(folder), pods), []
        path = side.folder / "books" / "store.db"
        clock = 0.0
        for length in (1, seconds):  # the first second makes what stays as it is
            async with open_store(path, Vault(b"v" * 32)) as store:
                meter = side.meter(store)
                stats = await side.facade.stats(side.slots.values())
                marks = {one: mark_of(combine({slot: stats[slot]})) for one, slot in side.slots.items()}
                await meter.begin_traffic(marks)
                began = time.process_time()
                for _ in range(length):
                    side.pass_second()
                    if together:
                        await meter.count_traffic(lambda: {one: {slot} for one, slot in side.slots.items()})
                    else:
                        await by_pod(side, store)
                clock = time.process_time() - began
                books = await store.read(ledger.load_ledgers, dict.fromkeys(side.slots, UnixSeconds(BEGIN)))
            sizes.append(path.stat().st_size)
        end = UnixSeconds(side.now + 1)
        billed = {usage(book, UnixSeconds(BEGIN), end).egress_kib for book in books.values()}
        assert billed == {(side.now - BEGIN) * BYTES_A_SECOND // KIB}, "what is billed is not what passed"
    return {
        "cpu_ms_a_second": round(1000 * clock / seconds, 1),
        "mb_a_pod_day": round((sizes[1] - sizes[0]) / 1e6 / pods * DAY_S / seconds, 3),
    }


async def settle(channels: int) -> dict[str, float]:
    """Virtual seconds, in finalities of a claim, until all channels are paid."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        async with open_store(path / "books" / "store.db", Vault(b"v" * 32)) as store:
            case = await make_case(store, path, channels)
            submit = case.chain.submit_usage_for

            async def slowly(*arguments: Any) -> Any:
                await trio.sleep(FINAL_AFTER_S)
                case.chain.number += FINALITY
                return await submit(*arguments)

            case.chain.submit_usage_for = slowly
            settlement = await case.daemon()
            began, clock = trio.current_time(), time.process_time()
            await settlement.tick()
            took = trio.current_time() - began
            cpu = time.process_time() - clock
            unpaid = [one for one in case.chain.lives.values() if one.channel.up_to == one.opened_at]
            assert not unpaid, "a channel was not claimed"
    return {
        "channels": channels,
        "finalities": round(took / FINAL_AFTER_S, 2),
        "finalities_in_a_row": -(-channels // MAX_BATCH),
        "cpu_s": round(cpu, 2),
    }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--pods", type=int, default=1000)
    arguments.add_argument("--seconds", type=int, default=120)
    arguments.add_argument("--other-seconds", type=int, default=3)
    arguments.add_argument("--channels", type=int, default=1000)
    told = arguments.parse_args()
    new = trio.run(lambda: measure(told.pods, told.seconds, together=True))
    old = trio.run(lambda: measure(told.pods, told.other_seconds, together=False))
    claims = trio.run(settle, told.channels, clock=MockClock(autojump_threshold=ANSWER_S))
    cpu = round(new["cpu_ms_a_second"] / old["cpu_ms_a_second"], 3)
    print(json.dumps({"together": new, "by_pod": old, "cpu_ratio": cpu, "claims": claims}, indent=2))
    missed = (cpu > MOST_CPU, new["mb_a_pod_day"] > MOST_MB_A_POD_DAY, claims["finalities"] > MOST_FINALITIES)
    sys.exit(any(missed))


if __name__ == "__main__":
    main()
