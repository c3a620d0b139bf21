# SPDX-License-Identifier: Apache-2.0
"""The image of a node that computes with others: MPyC of PyPI, Debian's Python, and a program around them."""

import sys
import tempfile
import zipfile
from pathlib import Path

from oci import Entry, Image
from recipes import HERE, NOBODY, Recipe, hash_of, of_debian, run, shell

_LIBRARIES = (
    "libc", "libcrypto", "libdl", "libexpat", "libffi", "libm", "libpthread", "libresolv", "librt", "libssl",
    "libuuid", "libz",
)  # fmt: skip
"""All that Python and the modules of it that are used here load, by ldd."""

_KEEP = (
    "usr/bin/python3.11",
    "usr/lib/python3.11/*",
    "lib64/ld-linux-x86-64.so.2",
    "*lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
    *(f"*lib/x86_64-linux-gnu/{library}.so.*" for library in _LIBRARIES),
    "usr/share/doc/python3.11-minimal/copyright",
)
_PROGRAMS = (
    "connections.py",
    "database.py",
    "http_server.py",
    "node.py",
    "party.py",
    "recognition.py",
    "session.py",
)


def _packages(folder: Path) -> dict[str, Entry]:
    """What the folder's requirements.txt names, byte for byte, unpacked under /opt."""
    with tempfile.TemporaryDirectory() as out:
        run(
            sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
            "--require-hashes", "--only-binary=:all:", "--python-version=3.11",
            "--platform=manylinux2014_x86_64", "--dest", out,
            "--requirement", str(folder / "requirements.txt"),
        )  # fmt: skip
        found = {}
        for wheel in sorted(Path(out).glob("*.whl")):
            with zipfile.ZipFile(wheel) as packed:
                for name in packed.namelist():
                    if not name.endswith("/"):
                        found[f"opt/{name}"] = Entry(packed.read(name), mode=0o644)
        return found


def _mpc() -> Image:
    """An instance of a signing node; its settings and keys as `manifests/examples/mpc-3x2` gives them."""
    folder = HERE / "mpc"
    ours = {f"opt/node/{name}": Entry((folder / name).read_bytes(), mode=0o644) for name in _PROGRAMS}
    return Image(
        "docker.io/local/mpc:1",
        [
            shell(),
            of_debian("mpc", "python3.11-minimal,libpython3.11-stdlib", _KEEP),
            _packages(folder),
            ours,
        ],
        entrypoint=["/usr/bin/python3.11", "/opt/node/node.py"],
        environment=["PATH=/usr/bin:/bin", "PYTHONPATH=/opt", "PYTHONPYCACHEPREFIX=/tmp/pyc", "HOME=/tmp"],
        user=f"{NOBODY}:{NOBODY}",
        ports=[8080, 9000],
    )


def _versions() -> str:
    """What apt knows; a new version makes a new image."""
    return run("apt-cache", "madison", "python3.11-minimal", "libpython3.11-stdlib", "libc6", "libssl3")


def _inputs() -> str:
    """Of the files that go in, and no others: what Python compiled may lie beside them."""
    files = [HERE / "mpc" / name for name in (*_PROGRAMS, "requirements.txt")]
    return hash_of(Path(__file__), *files, _versions())


RECIPES = {"mpc": Recipe(_mpc, _inputs)}
