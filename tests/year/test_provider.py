# SPDX-License-Identifier: Apache-2.0
"""A provider left alone for thirty days, and for a year, by the same code: nothing is lost, nothing grows.

The daemon is the real one, over fakes of its doors and a simulated clock (tests/year/plan.py has the days).
Each item of each claim is what an observer counted; each alert fired in its event and cleared.
"""

import multiprocessing
from collections import Counter
from contextlib import contextmanager
from functools import partial
from itertools import groupby
from operator import attrgetter
from statistics import median

import pytest
import trio

from tests.year.alerts import judge, rules
from tests.year.carried import load, save
from tests.year.events import EVENTS
from tests.year.outside.authority import authority
from tests.year.outside.world import SimulatedWorld
from tests.year.plan import THIRTY_DAYS, YEAR
from tests.year.simulated_time import without_log_records, without_threads
from tests.year.simulation import Simulation
from trustedpods.provider.daemon.process import give_back_large_buffers

DOMAIN = "k1.test.localhost"

BOOKS_OF_NOBODY = 512 * 1024
"""Empty tables with their indexes, and what a provider keeps once: claims of `keep_days`, boots, events."""

BOOKS_OF_A_STANDING_POD = 48 * 1024
"""Its sealed bundle twice, events, and a fortnight of runs and traffic rows."""

BOOKS_OF_A_GONE_POD = 14 * 1024
"""Its last record with its sealed bundle, its newest claimed period, and what it earned by day."""

SPOOL_OF_A_POD = 24 * 1024
KEPT_OF_A_TYPE = 20
"""Objects of one type that the daemon may have made since its start, beside two for each of the last pods."""

WEEK = 7
MOST_GROWTH = 0.05


EVENTS_OF_THE_YEAR = {
    "reboot": 12,
    "disk full": 3,
    "chain lies": 1,
    "operator key": 2,
    "lost key": 1,
    "authority away": 1,
    "authority back": 1,
}
"""What a year must hold, whatever else it holds."""


def too_much(evening):
    """What is more on that evening than pods that stood and went are allowed; None where nothing is."""
    gone = evening.came - evening.standing
    books = BOOKS_OF_NOBODY + evening.standing * BOOKS_OF_A_STANDING_POD + gone * BOOKS_OF_A_GONE_POD
    if evening.books > books:
        return f"day {evening.day}: books of {evening.books} bytes, {books} are allowed"
    spool = (evening.standing + evening.left_today) * SPOOL_OF_A_POD
    if evening.spool > spool:
        return f"day {evening.day}: a spool of {evening.spool} bytes, {spool} are allowed"
    return None


def growth(evenings, part):
    """From the first week to the last, as a share: by the middle of each week's evenings."""
    first, last = (median(getattr(one, part) for one in week) for week in (evenings[:WEEK], evenings[-WEEK:]))
    return (last - first) / first


def grown_in_one_life(evenings):
    """The most that any daemon's resident set grew from its own first week to its last, as a share."""
    lives = [list(life) for _, life in groupby(evenings, attrgetter("starts"))]
    return max(growth(life, "resident") for life in lives if len(life) >= 2 * WEEK)


@contextmanager
def begun(plan, folder):
    """A provider before the first day of the plan; the authority answers while the block runs."""
    with authority(folder, (DOMAIN,)) as answers:
        answers.life_days, served = plan.certificate_days, answers.served
        yield Simulation(
            plan,
            SimulatedWorld(
                folder,
                directory=served.directory,
                root=str(served.root),
                slots=plan.slots,
                switch=answers.switch,
            ),
        )


def live(year, **how):
    """Days of the simulated provider in this process."""
    give_back_large_buffers()  # as `serve` does
    with without_threads(), without_log_records():
        trio.run(partial(year.live, **how), clock=year.world.time.clock)


def live_on(file, switch):
    """What a process of its own does: the days until the daemon is to be another one's."""
    year = load(file, switch)
    live(year, until_restarted=True)
    save(year, file)


def lived(plan, folder):
    """A provider behind all days of the plan."""
    with begun(plan, folder) as year:
        live(year)
    return year


def lived_by_processes(plan, folder):
    """The same, where each start of the daemon is followed by a new process at midnight."""
    spawn, file = multiprocessing.get_context("spawn"), folder / "outside"
    with begun(plan, folder) as first:
        year = first
        while not year.is_over:
            save(year, file)
            process = spawn.Process(target=live_on, args=(file, year.world.switch))
            process.start()
            process.join()
            assert process.exitcode == 0  # it has said why not
            year = load(file, year.world.switch)
    return year


def assert_books_are_exact(year):
    observer, world = year.world.observer, year.world
    assert observer.differences == []
    assert year.publishers.came == year.publishers.went
    assert not world.chain.lives
    assert year.earned == observer.paid == world.chain.credit[world.owner] > 0
    assert year.publishers.deposits == year.publishers.refunds + year.earned


def assert_nothing_grows(year):
    assert [told for one in year.evenings if (told := too_much(one)) is not None] == []
    last = year.evenings[-1]
    assert_a_morning_is_only_lost_to_what_lasts_past_midnight(year)
    assert last.came >= len(year.evenings) * year.plan.a_day
    allowed = 2 * last.standing + KEPT_OF_A_TYPE
    assert allowed < year.publishers.came  # or one that is kept for each pod that ever came would do
    assert {kind: many for kind, many in year.kept.items() if many > allowed} == {}


def assert_a_morning_is_only_lost_to_what_lasts_past_midnight(year):
    lost = set(range(year.plan.days)) - {evening.day for evening in year.evenings}
    assert lost <= {day for day, _ in year.plan.events}


def assert_every_alert_fired_and_cleared(year):
    assert year.fired == set(rules())
    assert judge(year.judged) == ""


def test_the_year_holds_what_it_is_to_show():
    happens = Counter(name for _, name in YEAR.events)
    assert {name: happens[name] for name in EVENTS_OF_THE_YEAR} == EVENTS_OF_THE_YEAR
    assert happens.keys() == EVENTS.keys() == {name for _, name in THIRTY_DAYS.events}
    assert YEAR.days == 365
    assert YEAR.days * YEAR.a_day >= 5000
    assert YEAR.days // YEAR.certificate_days >= 4
    assert all(0 < day < YEAR.days for day, _ in YEAR.events)


@pytest.mark.timeout(900)
def test_thirty_days(tmp_path):
    """Some 20 s of processor time; the limit is for a machine that has other work."""
    year = lived(THIRTY_DAYS, tmp_path)
    assert_books_are_exact(year)
    assert_nothing_grows(year)
    assert_every_alert_fired_and_cleared(year)


@pytest.mark.soak
@pytest.mark.timeout(4 * 3600)
def test_a_year(tmp_path, capsys):
    year = lived_by_processes(YEAR, tmp_path)
    told = {part: growth(year.evenings, part) for part in ("blocks", "resident")}
    told["one life"] = grown_in_one_life(year.evenings)
    with capsys.disabled():
        print(year.publishers.came, year.evenings[-1], told)  # noqa: T201 - the figures of the acceptance
    assert year.publishers.came > 5000
    assert_books_are_exact(year)
    assert_nothing_grows(year)
    assert_every_alert_fired_and_cleared(year)
    assert {part: share for part, share in told.items() if share > MOST_GROWTH} == {}
