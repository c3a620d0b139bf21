# SPDX-License-Identifier: Apache-2.0
"""Stand-ins for docker, podman and their kind, which no test machine has all of: scripts that save archives.

Each takes the arguments of the real one as its manual says them, and writes down what it was called with.
"""

from pathlib import Path

SCRIPT = """#!/bin/sh
echo "$0 $*" >> {log}
case "$1 $2" in
"image inspect") {inspect} ;;
"image ls") echo docker.io/library/app:latest ;;
esac
case "$1" in
save|push|export) {save} ;;
build|bud) {build} ;;
esac
[ "$1 $2" = "image export" ] || exit 0
shift 4
/bin/cp {archive} "$1"
"""

OUT = 'for last; do [ "$before" = --output ] && out=$last; before=$last; done'
"""Finds what follows `--output`."""


def put_program(
    folder: Path,
    name: str,
    archive: Path,
    *,
    inspect: str | None = None,
    save: str | None = None,
    build: str = ":",
) -> Path:
    """A program *name* in *folder* that saves *archive*; returns the file of its calls."""
    log, file = folder / "calls", folder / name
    saved = f'{OUT}; [ -n "$out" ] || out=${{last#oci-archive:}}; /bin/cp {archive} "$out"'
    text = SCRIPT.format(
        log=log,
        archive=archive,
        inspect=inspect or "echo sha256:" + "a" * 64,
        save=save or saved,
        build=build,
    )
    file.write_text(text)
    file.chmod(0o755)
    return log
