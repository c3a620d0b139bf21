# SPDX-License-Identifier: Apache-2.0
"""How connections in the kernel go into a slot's counters."""

from trustedpods.provider.core.facade_ways.ways import KernelWay, WayLoad, unknown_loads, with_led
from trustedpods.provider.core.traffic import PodTraffic, SlotStats, combine, mark_of, traffic_since

STATS = SlotStats("boot", 1, 5, 100, 200, pods=(PodTraffic("a", 1, serving=False),), last_session_s=9)
NAMES = {"10.0.1.2": "a", "10.0.1.3": "b"}


def test_connections_are_in_flight_at_their_replicas() -> None:
    loads = [WayLoad(1, "10.0.1.2", 2, 7, 4), WayLoad(1, "10.0.1.3", 0, 3), WayLoad(1, "10.0.1.9", 5, 1, 2)]
    found = with_led(STATS, loads, ["10.0.1.3"], NAMES)
    assert (found.current, found.led, found.newest_led_s) == (8, 11, 2)
    assert {one.name: (one.current, one.serving) for one in found.pods} == {"a": (3, False), "b": (0, True)}


def test_their_bytes_are_on_no_bill_of_the_facades() -> None:
    before = mark_of(combine({7: STATS}))
    after = combine({7: with_led(STATS, [WayLoad(1, "10.0.1.2", 2, 1 << 40, 0)], [], NAMES)})
    passed, mark = traffic_since(before, after)
    assert (passed.requests, passed.bytes_in, passed.bytes_out) == (0, 0, 0)
    assert mark == before
    assert after.led == 1 << 40


def test_what_cannot_be_read_counts_as_busy() -> None:
    last = [WayLoad(1, "10.0.1.2", 0, 7)]
    led = [KernelWay(1, "shop", "10.0.1.2", 7000, 5), KernelWay(2, "shop", "10.0.1.3", 7000, 5)]
    first, second = unknown_loads(led, last, 1), unknown_loads(led, last, 2)
    assert [(one.port, one.open, one.moved) for one in first] == [(1, 1, 8), (2, 1, 1)]
    assert [one.moved for one in second] == [9, 2]
