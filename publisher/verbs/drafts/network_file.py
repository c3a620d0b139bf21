# SPDX-License-Identifier: Apache-2.0
"""`network init`: the first file of a network, by its kind, and the folder of what its nodes are told."""

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.networks.members import check_network_name
from trustedpods.protocol.whole_file import replace_whole
from trustedpods.publisher.results.networks import NetworkDraftResult
from trustedpods.publisher.verbs.drafts import clique, cometbft

WhatIsThere = Literal["refuse", "keep", "overwrite"]
"""What is done where the file or the folder is there already."""


@dataclass(frozen=True, slots=True)
class NetworkProfile:
    """A kind of network: its file's text and its folder's files, for a number of nodes."""

    images: tuple[str, ...]
    most: int
    text: Callable[[str, int], str]
    files: Callable[[int], Mapping[str, str]]


PROFILES: Final[Mapping[str, NetworkProfile]] = {
    "clique": NetworkProfile(clique.IMAGES, clique.MAX_SIGNERS, clique.network_file, clique.chain_files),
    "cometbft": NetworkProfile(
        cometbft.IMAGES, cometbft.MAX_VALIDATORS, cometbft.network_file, cometbft.chain_files
    ),
}


def init_network(
    kind: str, nodes: int, folder: Path, name: str | None = None, there: WhatIsThere = "refuse"
) -> NetworkDraftResult:
    """Write NAME.yaml and the folder NAME into *folder*: a network of *kind* with so many *nodes*.

    What the folder holds is made together, so it is written whole or not at all. BadInput for a kind that
    no profile is of, a number out of its bounds, a name that no network can have, and, where what is
    *there* is to refuse it, a file or folder that exists.
    """
    profile = _profile(kind, nodes)
    name = check_network_name(name or f"{kind}-{nodes}")
    file, keys = folder / f"{name}.yaml", folder / name
    if there == "refuse":
        _check_free(file, keys)
    kept = [str(path) for path in (keys, file) if there == "keep" and path.exists()]
    written = [str(path) for path in (keys, file) if str(path) not in kept]
    try:
        if str(keys) in written:
            _write_folder(keys, profile.files(nodes))
        if str(file) in written:
            replace_whole(file, profile.text(name, nodes).encode(), 0o666)  # less the umask, as any file
    except OSError as error:
        raise BadInput(f"cannot write it: {error.strerror}", where=str(folder)) from None
    return NetworkDraftResult(name, kind, str(file), tuple(written), tuple(kept), profile.images)


def _profile(kind: str, nodes: int) -> NetworkProfile:
    profile = PROFILES.get(kind)
    if profile is None:
        raise BadInput(f"no kind {kind!r} is known", where="--kind", hint=f"there is: {', '.join(PROFILES)}")
    if not 1 <= nodes <= profile.most:
        raise BadInput(f"a network of kind {kind} has 1 to {profile.most} nodes", where="--nodes")
    return profile


def _check_free(file: Path, keys: Path) -> None:
    for path in (file, keys):
        if path.exists():
            raise BadInput(
                f"there is a {'folder' if path == keys else 'file'} already",
                where=str(path),
                hint="--keep leaves what is there and makes the rest; --overwrite makes all anew, keys too",
            )


def _write_folder(target: Path, files: Mapping[str, str]) -> None:
    """The folder with *files*, for its owner alone; one that was there goes when the new one is whole."""
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as work:
        made, before = Path(work) / "new", Path(work) / "before"
        made.mkdir(mode=0o700)
        for name, text in files.items():
            with os.fdopen(os.open(made / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(text)
        if target.is_dir() and not target.is_symlink():
            target.rename(before)
        made.rename(target)
        shutil.rmtree(before, ignore_errors=True)
