# SPDX-License-Identifier: Apache-2.0
"""`--verbose`: what is asked of whom, a line each, among the progress.

Whoever asks tells the logger of this name: the chain's client, whoever dials or asks a provider, what fetches
images and markets. They tell addresses, methods and verbs, and never what opens or moves anything.
"""

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trustedpods.publisher.journal import Show

ASKED = "trustedpods.asked"
"""The logger."""


class _Lines(logging.Handler):
    """Hands each record to a show as a line; from whichever thread."""

    def __init__(self, show: "Show") -> None:
        super().__init__(logging.DEBUG)
        self._show = show

    def emit(self, record: logging.LogRecord) -> None:
        """One line. That nobody reads standard error any more ends no question."""
        with suppress(OSError, ValueError):
            self._show.line(f"asked: {record.getMessage()}")


def say_what_is_asked(show: "Show") -> None:
    """From here on *show* has a line for each question, until the process ends or another show is given."""
    logger = logging.getLogger(ASKED)
    logger.handlers = [_Lines(show)]
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
