# SPDX-License-Identifier: Apache-2.0
"""The image of a node of a CometBFT chain, built from its modules, with a small program that starts it."""

from pathlib import Path

import from_modules
from oci import Image
from recipes import HERE, NOBODY, Recipe, hash_of, run, shell

PROGRAMS = {"cometbft": "github.com/cometbft/cometbft/cmd/cometbft", "validator": "."}
"""CometBFT 0.38.19, and what writes its files from a pod's."""


def _cometbft() -> Image:
    """A validator, or one who looks on: what the chain says of its key decides."""
    return Image(
        "docker.io/local/cometbft:1",
        [shell(), from_modules.go_programs(HERE / "cometbft", PROGRAMS, "-ldflags=-s -w -buildid=")],
        environment=["PATH=/bin", "HOME=/tmp"],
        user=f"{NOBODY}:{NOBODY}",
        ports=[26656, 26657],
    )


def _inputs() -> str:
    """How programs are built stands in the other module, so that is an input too."""
    how = Path(from_modules.__file__)
    return hash_of(Path(__file__), how, HERE / "cometbft", run("go", "version"))


RECIPES = {
    "cometbft": Recipe(_cometbft, _inputs),
}
