# SPDX-License-Identifier: Apache-2.0
"""A browser of whoever sits at this machine."""

import sys
from collections.abc import Mapping

DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY")


def has_browser(environment: Mapping[str, str]) -> bool:
    """Whether somebody sits at this machine: a browser in a terminal would take the terminal."""
    return sys.platform == "darwin" or any(environment.get(name) for name in DISPLAYS)


async def open_link(link: str) -> bool:
    """Have the desktop open *link*; whether it took it."""
    import webbrowser

    import trio

    return await trio.to_thread.run_sync(webbrowser.open, link, abandon_on_cancel=True)  # type: ignore[call-arg]  # old stubs
