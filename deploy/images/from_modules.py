# SPDX-License-Identifier: Apache-2.0
"""Images of other people's Go programs, built from their modules, and of the small ones beside them.

Each program has a folder with a go.mod that names it as a tool and a go.sum that pins every byte. They take
minutes to build, so nothing builds them that does not need them: `make setup` leaves them out.
"""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from oci import Entry, Image
from recipes import HERE, NOBODY, Recipe, debian_versions, hash_of, nginx, program, run, shell

GETH_TOOLS = {
    "geth": "github.com/ethereum/go-ethereum/cmd/geth",
    "bootnode": "github.com/ethereum/go-ethereum/cmd/bootnode",
}
"""Of go-ethereum 1.13.15, the last that seals blocks by Clique."""


def go_programs(folder: Path, tools: Mapping[str, str], *flags: str) -> dict[str, Entry]:
    """Static programs under /bin, from the modules that the folder's go.sum pins."""
    with tempfile.TemporaryDirectory() as out:
        for name, package in tools.items():
            run(
                "go", "build", "-trimpath", "-buildvcs=false", *flags, "-o", f"{out}/{name}", package,
                cwd=folder, CGO_ENABLED="0", GOFLAGS="-mod=readonly", GOTOOLCHAIN="local",
            )  # fmt: skip
        return {f"bin/{name}": Entry((Path(out) / name).read_bytes()) for name in tools}


def _scripts(folder: Path, names: Sequence[str]) -> dict[str, Entry]:
    return {f"bin/{name}": Entry((folder / name).read_bytes()) for name in names}


def _geth() -> Image:
    """A node of a Clique chain, and a bootnode: which of them a container is, its command says."""
    folder = HERE / "geth"
    # geth 1.13 reaches into Go's runtime, which the linkers since Go 1.23 forbid unless told otherwise.
    tools = go_programs(folder, GETH_TOOLS, "-ldflags=-s -w -buildid= -checklinkname=0")
    return Image(
        "docker.io/local/geth:1",
        [
            shell(),
            tools,
            _scripts(folder, ["blocks-grow", "call-peers", "fill-node", "run-node", "tell-node"]),
        ],
        environment=["PATH=/bin", "HOME=/tmp"],
        user=f"{NOBODY}:{NOBODY}",
        ports=[30303, 8545],
    )


def _drand() -> Image:
    """A node that makes a threshold key with others and signs with it (drand 2.1).

    `conn_insecure`: nodes speak without TLS. drand has no TLS of its own to serve, shares of the key are
    encrypted for who gets them, and at one provider no packet leaves the cluster.
    """
    return _signer("drand:2", {}, "-tags=conn_insecure")


def _drand_tls() -> Image:
    """The same as drand ships it: it calls others by TLS alone. With Debian's nginx, which serves it."""
    front = {
        "bin/nginx": Entry(link="../usr/sbin/nginx"),
        "var/log/nginx": Entry(uid=NOBODY, gid=NOBODY),
    }
    return _signer("drand-tls:2", nginx() | front)


def _signer(name: str, more: Mapping[str, Entry], *flags: str) -> Image:
    folder = HERE / "drand"
    tools = go_programs(
        folder, {"drand": "github.com/drand/drand/v2/cmd/drand"}, *flags, "-ldflags=-s -w -buildid="
    )
    return Image(
        f"docker.io/local/{name}",
        [shell(), *([dict(more)] if more else []), tools, _scripts(folder, ["run-signer"])],
        environment=["PATH=/bin", "HOME=/tmp", "USER=drand"],
        user=f"{NOBODY}:{NOBODY}",
        ports=[8000, 8080],
    )


def _height() -> Image:
    """A page that shows how high a chain is."""
    return program("height", ports=[3000])


def _backup_room() -> Image:
    """Versity's S3 gateway over a volume."""
    folder = HERE / "backup-room"
    tools = go_programs(
        folder, {"versitygw": "github.com/versity/versitygw/cmd/versitygw"}, "-ldflags=-s -w -buildid="
    )
    return Image(
        "docker.io/local/backup-room:1",
        [shell(), tools, _scripts(folder, ["run-room"])],
        entrypoint=["/bin/run-room"],
        environment=["PATH=/bin", "HOME=/tmp"],
        user=f"{NOBODY}:{NOBODY}",
        ports=[7070],
    )


RECIPES = {
    "backup-room": Recipe(
        _backup_room, lambda: hash_of(Path(__file__), HERE / "backup-room", run("go", "version"))
    ),
    "drand": Recipe(_drand, lambda: hash_of(Path(__file__), HERE / "drand", run("go", "version"))),
    "drand-tls": Recipe(
        _drand_tls, lambda: hash_of(Path(__file__), HERE / "drand", run("go", "version"), debian_versions())
    ),
    "geth": Recipe(_geth, lambda: hash_of(Path(__file__), HERE / "geth", run("go", "version"))),
    "height": Recipe(_height, lambda: hash_of(Path(__file__), HERE / "height", run("go", "version"))),
}
