# SPDX-License-Identifier: Apache-2.0
"""Release files of measurements on the user's disk: the newest that was seen, so that none goes back."""

from pathlib import Path

from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.whole_file import read_whole_or_none
from trustedpods.publisher.state.files import write_whole

FILE = "measurements.json"
"""Of the release file, in the user's folders of state and of settings."""

SET_ASIDE = ".set-aside"
"""Behind the name of a kept file of release keys that were retired. A later one replaces it."""


def keep_release(path: Path, raw: bytes) -> None:
    """Put a verified file in place of the one before it; BadInput where that cannot be."""
    try:
        write_whole(path, raw)
    except OSError as error:
        raise BadInput(f"cannot keep the release file: {error.strerror}", where=str(path)) from None


def set_aside(path: Path, raw: bytes) -> Path:
    """Put a copy of what was kept at *path* beside it, and return where; BadInput where that cannot be.

    The file itself stays until another one is kept in its place: a client that runs at the same time may have
    done that already, and its file must not be moved away.
    """
    aside = path.with_name(path.name + SET_ASIDE)
    try:
        write_whole(aside, raw)
    except OSError as error:
        raise BadInput(f"cannot set the release file aside: {error.strerror}", where=str(aside)) from None
    return aside


def read_kept(path: Path, limit: int) -> bytes | None:
    """What is in a file of at most *limit* bytes; None where there is no file.

    BadInput where it is there and cannot be read, or is larger: that is not the same as none.
    """
    return read_whole_or_none(path, limit, "the release file")
