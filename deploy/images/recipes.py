# SPDX-License-Identifier: Apache-2.0
"""What each image is made of. "Nobody here wrote it" holds for web's nginx: Debian's own binary."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from oci import Entry, Image

HERE = Path(__file__).resolve().parent
BUSYBOX = Path("/bin/busybox")
NOBODY = 65_532
"""User of images that need no particular one: far from any user of the host."""


class CannotBuild(Exception):
    """What is missing, or what the tool said."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to make an image, and a text that changes whenever the outcome would."""

    make: Callable[[], Image]
    inputs: Callable[[], str]


def run(*command: str, cwd: Path | None = None, **environment: str) -> str:
    """Standard output of a command; CannotBuild with its last words when it fails or is missing."""
    if shutil.which(command[0]) is None:
        raise CannotBuild(f"{command[0]} is missing")
    done = subprocess.run(  # noqa: S603  (fixed commands of this file)
        command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise CannotBuild(f"{' '.join(command)}: exit {done.returncode}\n{done.stderr[-2000:]}")
    return done.stdout


def _hash_of(*parts: str | bytes | Path) -> str:
    """A hash over texts and over whole folders and files."""
    total = hashlib.sha256((HERE / "oci.py").read_bytes() + Path(__file__).read_bytes())
    for part in parts:
        if isinstance(part, Path):
            files = sorted(part.rglob("*")) if part.is_dir() else [part]
            for file in files:
                total.update(
                    str(file.relative_to(part.parent)).encode()
                    + (file.read_bytes() if file.is_file() else b"")
                )
        else:
            total.update(part.encode() if isinstance(part, str) else part)
        total.update(b"\0")
    return total.hexdigest() + "\n"


# ---- pause -----------------------------------------------------------------------------------


def _pause() -> Image:
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "pause"
        run(
            "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-o", str(made), ".",
            cwd=HERE / "pause", CGO_ENABLED="0", GOFLAGS="", GOTOOLCHAIN="local",
        )  # fmt: skip
        layer = {"pause": Entry(made.read_bytes())}
    return Image("docker.io/local/pause:1", [layer], entrypoint=["/pause"], user=f"{NOBODY}:{NOBODY}")


# ---- busybox and hello -----------------------------------------------------------------------


def _busybox_bytes() -> bytes:
    if not BUSYBOX.exists():
        raise CannotBuild(f"{BUSYBOX} is missing: install busybox-static")
    return BUSYBOX.read_bytes()


def _shell() -> dict[str, Entry]:
    """Busybox under the name of each of its commands, and a place for temporary files."""
    entries = {"bin/busybox": Entry(_busybox_bytes()), "tmp": Entry(mode=0o1777)}
    commands = run(str(BUSYBOX), "--list").split()
    return entries | {f"bin/{command}": Entry(link="busybox") for command in commands if command != "busybox"}


def _busybox() -> Image:
    return Image(
        "docker.io/local/busybox:1", [_shell()], command=["sh"], environment=["PATH=/bin"], compress=False
    )


def _hello() -> Image:
    """A page and a script, served by busybox httpd: small enough that a deploy is all overhead."""
    folder = HERE / "hello"
    pages = {
        "bin/serve": Entry((folder / "serve").read_bytes()),
        "srv/index.html": Entry((folder / "index.html").read_bytes(), mode=0o644),
        "srv/cgi-bin/whoami": Entry((folder / "whoami").read_bytes()),
    }
    return Image(
        "docker.io/local/hello:1",
        [_shell(), pages],
        entrypoint=["/bin/serve"],
        environment=["PATH=/bin"],
        user=f"{NOBODY}:{NOBODY}",
        ports=[8080],
    )


RECIPES = {
    "pause": Recipe(_pause, lambda: _hash_of(HERE / "pause", run("go", "version"))),
    "busybox": Recipe(_busybox, lambda: _hash_of(_busybox_bytes())),
    "hello": Recipe(_hello, lambda: _hash_of(_busybox_bytes(), HERE / "hello")),
}
