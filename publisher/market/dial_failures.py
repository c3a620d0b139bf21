# SPDX-License-Identifier: Apache-2.0
"""Which providers did not answer lately, kept to dial them after the others. Never needed, may be lost."""

import json
from collections.abc import Mapping
from pathlib import Path

from trustedpods.protocol.units import UnixSeconds
from trustedpods.publisher.core.dialling import MAX_REMEMBERED, Failures, kept
from trustedpods.publisher.state.files import write_whole

FILE_NAME = "dial-failures.json"
MAX_FILE = 1024 * MAX_REMEMBERED
"""A row's name and address have 200 bytes at most."""


def known_failures(folder: Path) -> dict[str, Failures]:
    """Failures by provider; empty when there is no record, or a damaged one."""
    try:
        with (folder / FILE_NAME).open("rb") as file:
            tree = json.loads(file.read(MAX_FILE))
        return {name: _failures(*entry) for name, entry in tree.items()}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def keep_failures(folder: Path, failures: Mapping[str, Failures]) -> None:
    """Write them; where that is not possible, do without."""
    tree = {name: [one.count, one.last, one.endpoint] for name, one in kept(failures).items()}
    try:
        write_whole(folder / FILE_NAME, json.dumps(tree).encode())
    except OSError:
        return


def _failures(count: int, last: int, endpoint: str) -> Failures:
    if type(count) is not int or type(last) is not int or not isinstance(endpoint, str) or count < 1:
        raise TypeError
    return Failures(count, UnixSeconds(last), endpoint)
