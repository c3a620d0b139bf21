# SPDX-License-Identifier: Apache-2.0
"""containerd 2 with its shim, and runc: what gives pods user ids of their own, which Debian's cannot.

Built from Go's modules at the versions of `deploy/containers/go.mod`.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

CONTAINERD, SHIM, CTR, RUNC = "containerd", "containerd-shim-runc-v2", "ctr", "runc"
PROGRAMS = (CONTAINERD, SHIM, CTR, RUNC)

_CONTAINERD_MODULE = "github.com/containerd/containerd/v2"
_RUNC_MODULE = "github.com/opencontainers/runc"
_FLAGS = ("build", "-trimpath", "-buildvcs=false")

Go = Callable[[list[str], Path, Mapping[str, str]], None]
"""Runs `go` with these words in that folder, with these variables."""


@dataclass(frozen=True, slots=True)
class ContainerRuntime:
    """The programs of a node's container runtime, each as its path or its name; the shim finds `runc`."""

    containerd: str = CONTAINERD
    ctr: str = CTR
    shim: Path | None = None
    runc: Path | None = None


DEBIAN = ContainerRuntime()
"""What the distribution installed: containerd 1.6 in Debian 12, whose pods have the machine's user ids."""


def own(folder: Path) -> ContainerRuntime:
    """The one that was built into *folder*."""
    return ContainerRuntime(str(folder / CONTAINERD), str(folder / CTR), folder / SHIM, folder / RUNC)


def digest(sources: Path) -> str:
    """Of what is built: the modules' versions, and how."""
    found = hashlib.sha256()
    for path in (sources / "go.mod", sources / "go.sum", Path(__file__)):
        found.update(f"{path.name}\0{path.stat().st_size}\0".encode() + path.read_bytes())
    return found.hexdigest()[:16]


def build(go: Go, sources: Path, folder: Path) -> Path:
    """All four programs, in a new folder below *folder*.

    runc takes seccomp's rules from a library in C, and without them refuses every pod that has any.
    """
    made = folder / "programs"
    made.mkdir()
    version = f"-X {_CONTAINERD_MODULE}/version.Version={module_version(sources, _CONTAINERD_MODULE)}"
    packages = [f"{_CONTAINERD_MODULE}/cmd/{name}" for name in (CONTAINERD, SHIM, CTR)]
    go([*_FLAGS, f"-ldflags=-s -w {version}", "-o", f"{made}/", *packages], sources, {"CGO_ENABLED": "0"})
    linked = "-ldflags=-s -w -extldflags=-Wl,--build-id=none"
    words = [*_FLAGS, "-tags=seccomp", linked, "-o", f"{made}/", _RUNC_MODULE]
    go(words, sources, {"CGO_ENABLED": "1", "CGO_CFLAGS": "-O2 -g0"})
    return made


def module_version(sources: Path, module: str) -> str:
    """The version of *module* that `go.mod` in *sources* asks for."""
    lines = (line.split() for line in (sources / "go.mod").read_text().splitlines())
    return next(words[1] for words in lines if words[:1] == [module] and len(words) > 1)
