# SPDX-License-Identifier: Apache-2.0
"""Is the program that a container starts with in its image, and can a node start it?

Only what is certain is said: a link on the way, a volume above it or a name without a path leave it to
the node.
"""

from collections.abc import Collection, Sequence
from pathlib import Path
from posixpath import normpath

from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.images.layers import LayerEntry, removers
from trustedpods.publisher.images.entries import entries_at
from trustedpods.publisher.images.oci import Image

EXECUTABLE = 0o111

ELF = b"\x7fELF"
_RUN_HERE = (62, 3)
"""`e_machine` of x86-64 and of i386 (System V ABI), which every node runs."""

_OF_THE_NODE = ("/proc", "/sys", "/dev")
"""What a runtime mounts over every image (OCI runtime specification, default filesystems)."""

_MISSING = LayerEntry("missing", 0)


def check_program(
    image: Image, line: Sequence[str], covered: Collection[str], cache: Path, where: str
) -> None:
    """`BadInput` naming *where* if the first word of *line* surely starts on no node.

    *covered* are paths of the container that something else than the image fills.
    """
    program, folder = line[0], cache / "layers"
    hidden = [*covered, *image.config.volumes, *_OF_THE_NODE]
    entry = _look_up(image, program, hidden, folder)
    if entry is None:
        return
    what = _wrong(entry, program) or _wrong_interpreter(image, entry, program, hidden, folder)
    if what is not None:
        raise BadInput(what[0], where=where, hint=what[1])


def _wrong(entry: LayerEntry, program: str) -> tuple[str, str] | None:
    """What is wrong with a program, and what to do."""
    if entry.kind == "missing":
        return f"the program {program} is not in the image", "set ENTRYPOINT, or `command`, to one that is"
    if entry.kind == "folder":
        return f"{program} is a folder of the image, no program", "set ENTRYPOINT, or `command`, to a program"
    if not entry.mode & EXECUTABLE:
        return f"the program {program} may not be executed", f"build the image with `RUN chmod +x {program}`"
    machine = int.from_bytes(entry.head[18:20], "little" if entry.head[5:6] == b"\1" else "big")
    if entry.head.startswith(ELF) and machine not in _RUN_HERE:
        return f"the program {program} is for another processor", "build it for linux/amd64"
    return None


def _wrong_interpreter(
    image: Image, entry: LayerEntry, program: str, hidden: Collection[str], folder: Path
) -> tuple[str, str] | None:
    first = entry.head.split(b"\n", 1)[0]
    words = first.removeprefix(b"#!").decode("utf-8", "replace").split()
    if not first.startswith(b"#!") or not words:
        return None
    interpreter = _look_up(image, words[0], hidden, folder)
    if interpreter is not None and interpreter.kind == "missing":
        what = f"the program {program} is a script for {words[0]}, which is not in the image"
        return what, "install it in the image"
    return None


def _look_up(image: Image, path: str, hidden: Collection[str], folder: Path) -> LayerEntry | None:
    """What stands at *path* in the whole image; None where only a node can know."""
    place = "/" + normpath(path).lstrip("/")
    if not path.startswith("/") or ".." in path.split("/") or any(_covers(one, place) for one in hidden):
        return None
    name = place.lstrip("/")
    parts = name.split("/")
    ways = {"/".join(parts[:depth]) for depth in range(1, len(parts))}
    seen = [entries_at(layer, name, ways, folder) for layer in image.layers]
    if any(entries[way].kind != "folder" for entries in seen for way in ways & entries.keys()):
        return None
    for entries in reversed(seen):
        if name in entries:
            return None if entries[name].kind == "other" else entries[name]
        if entries.keys() & removers(name):
            break
    return _MISSING


def _covers(mount: str, place: str) -> bool:
    return f"{place}/".startswith(f"/{mount.strip('/')}/" if mount.strip("/") else "/")
