# SPDX-License-Identifier: Apache-2.0
"""What each image is made of. "Nobody here wrote it" holds for web's nginx: Debian's own binary."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from oci import Entry, Image, entries_of, epoch

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


def hash_of(*parts: str | bytes | Path) -> str:
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


# ---- pause and echo --------------------------------------------------------------------------


def program(name: str, ports: Sequence[int] = ()) -> Image:
    """An image of nothing but one of our Go programs."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / name
        run(
            "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-o", str(made), ".",
            cwd=HERE / name, CGO_ENABLED="0", GOFLAGS="", GOTOOLCHAIN="local",
        )  # fmt: skip
        layer = {name: Entry(made.read_bytes())}
    user = f"{NOBODY}:{NOBODY}"
    return Image(f"docker.io/local/{name}:1", [layer], entrypoint=[f"/{name}"], user=user, ports=ports)


def _pause() -> Image:
    return program("pause")


def _echo() -> Image:
    """For tests and benchmarks: HTTP/1.1, HTTP/2, gRPC, WebSocket and TCP, answered by one process."""
    return program("echo", ports=[8080, 7000])


# ---- busybox and hello -----------------------------------------------------------------------


def _busybox_bytes() -> bytes:
    if not BUSYBOX.exists():
        raise CannotBuild(f"{BUSYBOX} is missing: install busybox-static")
    return BUSYBOX.read_bytes()


def shell() -> dict[str, Entry]:
    """Busybox under the name of each of its commands, and a place for temporary files."""
    entries = {"bin/busybox": Entry(_busybox_bytes()), "tmp": Entry(mode=0o1777)}
    commands = run(str(BUSYBOX), "--list").split()
    return entries | {f"bin/{command}": Entry(link="busybox") for command in commands if command != "busybox"}


def _busybox() -> Image:
    return Image(
        "docker.io/local/busybox:1", [shell()], command=["sh"], environment=["PATH=/bin"], compress=False
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
        [shell(), pages],
        entrypoint=["/bin/serve"],
        environment=["PATH=/bin"],
        user=f"{NOBODY}:{NOBODY}",
        ports=[8080],
    )


# ---- web -------------------------------------------------------------------------------------

SUITE = "bookworm"
WWW_DATA = 33
SLOW_FILE_SIZE = 60_000_000
_BLOCK = 1000

_LIBRARIES = (
    "libc.so.6",
    "libcrypt.so.1*",
    "libcrypto.so.3",
    "libpcre2-8.so.0*",
    "libssl.so.3",
    "libz.so.1*",
)
_KEEP = (
    "usr/sbin/nginx",
    "etc/nginx/mime.types",
    "lib64/ld-linux-x86-64.so.2",
    "*lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
    *(f"*lib/x86_64-linux-gnu/{library}" for library in _LIBRARIES),
    *(
        f"usr/share/doc/{package}/copyright"
        for package in ("nginx", "libc6", "libcrypt1", "libssl3", "zlib1g")
    ),
    "usr/share/doc/libpcre2-8-0/copyright",
)


def nginx() -> dict[str, Entry]:
    """Debian's nginx as it is, with what it loads and nothing else of Debian."""
    return of_debian("web", "nginx-light", _KEEP)


def of_debian(image: str, package: str, keep: Sequence[str]) -> dict[str, Entry]:
    """What is to *keep* of a Debian package and all that it depends on, unpacked and never installed.

    CannotBuild, which names the *image*, where a pattern of *keep* fits nothing.
    """
    with tempfile.TemporaryDirectory() as folder:
        rootfs = Path(folder) / "rootfs.tar"
        run(
            "mmdebstrap", "--quiet", "--variant=extract", f"--include={package}", SUITE, str(rootfs),
            SOURCE_DATE_EPOCH=str(epoch()),
        )  # fmt: skip
        try:
            return entries_of(rootfs, keep)
        except KeyError as missing:
            raise CannotBuild(f"{image}: {missing}") from missing


def _slow_file() -> bytes:
    """60 MB in which every block is another one, and that still compress to little."""
    return b"".join(
        b"block %06d " % index + b"." * (_BLOCK - 14) + b"\n" for index in range(SLOW_FILE_SIZE // _BLOCK)
    )


def _web() -> Image:
    folder = HERE / "web"

    def page(name: str) -> Entry:
        return Entry((folder / name).read_bytes(), mode=0o644)

    pages = {
        "etc/nginx/nginx.conf": page("nginx.conf"),
        "etc/passwd": page("passwd"),
        "etc/group": page("group"),
        "srv/web/index.html": page("index.html"),
        "srv/web/private/index.html": page("private.html"),
        "data": Entry(uid=WWW_DATA, gid=WWW_DATA),
        "tmp": Entry(mode=0o1777),
        "var/log/nginx": Entry(uid=WWW_DATA, gid=WWW_DATA),
    }
    return Image(
        "docker.io/local/web:1",
        [nginx(), {"srv/web/slow/60mb.bin": Entry(_slow_file(), mode=0o644)}, pages],
        entrypoint=["/usr/sbin/nginx"],
        user=f"{WWW_DATA}:{WWW_DATA}",
        ports=[8080],
        stop_signal="SIGQUIT",
    )


def debian_versions() -> str:
    """What apt knows of the packages in the image; a new version makes a new image."""
    return run(
        "apt-cache",
        "madison",
        "nginx-light",
        "nginx",
        "libc6",
        "libcrypt1",
        "libssl3",
        "libpcre2-8-0",
        "zlib1g",
    )


RECIPES = {
    "echo": Recipe(_echo, lambda: hash_of(HERE / "echo", run("go", "version"))),
    "pause": Recipe(_pause, lambda: hash_of(HERE / "pause", run("go", "version"))),
    "busybox": Recipe(_busybox, lambda: hash_of(_busybox_bytes())),
    "hello": Recipe(_hello, lambda: hash_of(_busybox_bytes(), HERE / "hello")),
    "web": Recipe(_web, lambda: hash_of(HERE / "web", debian_versions())),
}
