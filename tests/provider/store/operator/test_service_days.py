# SPDX-License-Identifier: Apache-2.0
"""What was measured of days, in both databases."""

from trustedpods.provider.store.operator import service_days
from trustedpods.provider.store.operator.service_days import KEPT_DAYS, DayCount

FIRST = DayCount(20_000, 1_728_000_100, 300, 2, 900, (0, 1, 2))


async def test_counts_of_a_day_add_up_and_outlast_a_restart(book):
    async with book() as store:
        assert await store.read(service_days.load) == ()
        await store.write(service_days.add, FIRST)
        await store.write(service_days.add, DayCount(20_001, 1_728_086_400, 10, 0, 0, (0, 0, 0)))
    async with book(secret=b"o" * 32, holder="node-2") as store:  # another boot's, as after a take-over
        await store.write(service_days.add, DayCount(20_000, 1_728_000_400, 250, 1, 100, (1, 1, 1)))
        first, second = await store.read(service_days.load)
    assert first == DayCount(20_000, 1_728_000_100, 550, 3, 1000, (1, 2, 3))
    assert second.day == 20_001


async def test_counts_by_other_bounds_are_left_out(book):
    async with book() as store:
        await store.write(service_days.add, FIRST)
        await store.write(service_days.add, DayCount(20_000, 1_728_000_400, 1, 1, 1, (1, 1)))
        (one,) = await store.read(service_days.load)
        assert (one.up_s, one.cold_starts, one.within) == (301, 3, (1, 1))


async def test_a_clock_that_was_years_ahead_costs_no_day_and_the_oldest_days_go(book):
    def all_days(tx):
        for number in range(KEPT_DAYS):
            service_days.add(tx, DayCount(20_000 + number, 1, 1, 0, 0, (0,)))

    async with book() as store:
        await store.write(all_days)
        await store.write(service_days.add, DayCount(90_000, 1, 1, 0, 0, (0,)))
        days = [one.day for one in await store.read(service_days.load)]
        assert days == [*range(20_001, 20_000 + KEPT_DAYS), 90_000]
