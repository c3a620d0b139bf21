# SPDX-License-Identifier: Apache-2.0
"""Names of channels, kept for `balance` alone: the chain knows no names. Never needed, may be lost."""

import json
from pathlib import Path

from trustedpods.publisher.state.files import write_whole

MAX_FILE = 1 << 20
"""Some ten thousand names; more are not looked at."""


def known_names(folder: Path) -> dict[str, str]:
    """Names of pods by their channels' ids in hex; empty when there is no record, or a damaged one."""
    try:
        with (folder / "names.json").open("rb") as file:
            tree = json.loads(file.read(MAX_FILE))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(tree, dict):
        return {}
    return {key: value for key, value in tree.items() if isinstance(value, str)}


def remember_name(folder: Path, channel: str, name: str) -> None:
    """Keep the name of a channel; where that is not possible, do without."""
    names = known_names(folder) | {channel: name}
    try:
        write_whole(folder / "names.json", json.dumps(names).encode())
    except OSError:
        return
