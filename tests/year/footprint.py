# SPDX-License-Identifier: Apache-2.0
"""How much a provider may keep, by formula, and whether memory grew."""

from statistics import median

BOOKS_OF_NOBODY = 512 * 1024
"""Empty tables with their indexes, and what a provider keeps once: claims of `keep_days`, boots, events."""

BOOKS_OF_A_STANDING_POD = 48 * 1024
"""Its sealed bundle twice, events, and a fortnight of runs and traffic rows."""

BOOKS_OF_A_GONE_POD = 14 * 1024
"""Its last record with its sealed bundle, its newest claimed period, and what it earned by day."""

SPOOL_OF_A_POD = 24 * 1024
WEEK = 7
MOST_GROWTH = 0.05


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
