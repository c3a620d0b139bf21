# SPDX-License-Identifier: Apache-2.0
"""Which daemon filled this HAProxy: a file beside the host map, for daemons that follow one another.

Two daemons of one node may share its HAProxy: the one that stands by must not empty what the other serves.
"""

from pathlib import Path

from trustedpods.provider.facade.haproxy.files import read_file, replace_file

FILE = "filled-by"


def note(map_file: Path, daemon: str, boot: str) -> None:
    """*daemon* fills the process *boot* from now on; NoContext if that cannot be written."""
    replace_file(map_file.with_name(FILE), f"{daemon} {boot}\n".encode())


def is_others(map_file: Path, daemon: str, boot: str) -> bool:
    """Whether another daemon than this one filled that very process.

    Where nobody said so, older versions did, or nobody: then it may be anything.
    """
    filler, _, process = read_file(map_file.with_name(FILE)).strip().rpartition(" ")
    return process == boot and filler != daemon
