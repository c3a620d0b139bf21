# SPDX-License-Identifier: Apache-2.0
"""Texts of a page. What others wrote is hostile: it is cut and cleaned here; templates escape HTML. Pure."""

from trustedpods.protocol.units import utc_text

MAX_TEXT = 300
"""Characters of a text that somebody else wrote."""

MAX_WORD = 80
"""Of what should be a word or two: a phase, a region."""

LAST_SECOND = 253_402_300_799
"""The end of the year 9999: a calendar has no later date."""


def one_line(text: str) -> str:
    """*text* as one line without what a terminal would act on: others' line breaks make no lines of ours."""
    return "".join(_printable(" " if c in "\n\t" else c) for c in text.replace("\r\n", "\n"))


def _printable(character: str) -> str:
    return character if character.isprintable() else "\N{REPLACEMENT CHARACTER}"


def clean(text: str, most: int = MAX_TEXT) -> str:
    """One line of printable characters, at most so many: no control characters, no change of direction."""
    shown = one_line(text[: most + 1])
    return shown if len(shown) <= most else shown[:most] + "…"


def when(unix: float | None) -> str:
    """`2026-11-21 10:54:03Z`, a dash for none, or the number where it is no date."""
    if not unix:
        return "-"
    if not 0 < unix <= LAST_SECOND:
        return f"second {int(unix)}"
    return utc_text(int(unix))
