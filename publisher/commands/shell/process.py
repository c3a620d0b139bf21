# SPDX-License-Identifier: Apache-2.0
"""The process of `trustedpods`: it starts and ends without what a short life does not need.

Most verbs live for a second, and a third of their CPU went into two things: collections of garbage while
modules are loaded, which make no garbage, and Python taking all of them apart at the end.
"""

import atexit
import gc
import os
import sys
import threading
from collections.abc import Callable
from typing import NoReturn

COLLECT_FIRST_AFTER = 400_000
"""New objects before the first collection; Python's own is 700. A whole `deploy` makes some 190,000 with its
modules, and each collection among them took 20 ms; so many objects are some 60 MB."""

COLLECT_AFTER = 50_000
"""The same for those behind it: what a verb of hours leaves in circles is some ten MB before it is found."""


NO_PLUGINS = ("PYDANTIC_DISABLE_PLUGINS", "__all__")
"""Else pydantic reads the entry points of every package that is installed, to find who adds to its checks."""


def run(command: Callable[[], object]) -> NoReturn:
    """Run *command*, which ends by `SystemExit`, and end the process with its exit code."""
    _collect_seldom()
    os.environ.setdefault(*NO_PLUGINS)
    try:
        command()
    except SystemExit as end:
        _end(end)
    raise SystemExit(0)


def _collect_seldom() -> None:
    """Nothing is collected in a verb of a second; in one of hours seldom, once all is loaded."""

    def collected(phase: str, _: object) -> None:
        if phase == "stop":
            gc.callbacks.remove(collected)
            gc.set_threshold(COLLECT_AFTER)

    gc.callbacks.append(collected)
    gc.set_threshold(COLLECT_FIRST_AFTER)


def _end(end: SystemExit) -> NoReturn:
    """End at once, once all is written and all who asked are told; as usual where that cannot be."""
    code = 0 if end.code is None else end.code
    if not isinstance(code, int) or _others_work():
        raise end
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):  # the reader went away: as Python tells it
        raise end from None
    atexit._run_exitfuncs()  # noqa: SLF001 - Python's own name for it, which multiprocessing uses too
    os._exit(code)


def _others_work() -> bool:
    """Whether a thread runs that Python waits for at its end."""
    return any(not one.daemon for one in threading.enumerate() if one is not threading.main_thread())
