# SPDX-License-Identifier: Apache-2.0
"""How the time of a reader grows with the length of what it reads."""

from collections.abc import Callable
from contextlib import suppress
from time import process_time


def least_s(read: Callable[[str], object], text: str, refusal: type[Exception]) -> float:
    """Seconds of processor time that *read* takes for *text*, which it may refuse: the least of five."""
    times = []
    for _ in range(5):
        start = process_time()
        with suppress(refusal):
            read(text)
        times.append(process_time() - start)
    return min(times)
