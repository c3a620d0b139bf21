# SPDX-License-Identifier: Apache-2.0
"""What happens to a provider in a year, and in thirty days: on which day, and what. Nothing but data."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """*days* in which *a_day* pods come every day and stay for up to *longest_stay* days.

    `certificate_days` is the life of the authority's certificates. `events` are days and what happens on
    them; what each is, `tests/year/events.py` says.
    """

    days: int
    a_day: int
    longest_stay: int
    slots: int
    certificate_days: int
    events: tuple[tuple[int, str], ...]


REBOOTS_OF_A_YEAR = (9, 41, 68, 97, 126, 155, 187, 219, 244, 281, 310, 346)

YEAR = Plan(
    days=365,
    a_day=14,
    longest_stay=5,
    slots=72,
    certificate_days=90,
    events=(
        *((day, "reboot") for day in REBOOTS_OF_A_YEAR),
        *((day, "disk full") for day in (20, 140, 290)),
        *((day, "disk low") for day in (30, 191)),
        *((day, "chain away") for day in (25, 230)),
        (80, "chain lies"),
        (100, "node differs"),
        *((day, "operator key") for day in (60, 250)),
        (335, "lost key"),
        (170, "no gas"),
        (180, "gas cap"),
        *((day, "paid less") for day in (35, 260)),
        *((day, "slow starts") for day in (50, 270)),
        *((day, "refused wakes") for day in (55, 300)),
        *((day, "crowd") for day in (90, 320)),
        *((day, "flood") for day in (95, 325)),
        *((day, "full spool") for day in (110, 330)),
        (130, "authority away"),
        (208, "authority back"),
    ),
)

THIRTY_DAYS = Plan(
    days=30,
    a_day=3,
    longest_stay=4,
    slots=24,
    certificate_days=9,
    events=(
        *((day, "reboot") for day in (4, 22)),
        (2, "disk full"),
        (3, "disk low"),
        (5, "chain away"),
        (10, "chain lies"),
        (12, "node differs"),
        (17, "operator key"),
        (19, "lost key"),
        (18, "no gas"),
        (15, "gas cap"),
        (6, "paid less"),
        (23, "slow starts"),
        (24, "refused wakes"),
        (25, "crowd"),
        (26, "full spool"),
        (27, "flood"),
        (7, "authority away"),
        (13, "authority back"),
    ),
)
