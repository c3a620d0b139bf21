# SPDX-License-Identifier: Apache-2.0
"""ABI and bytecode of the contracts, as committed and packaged."""

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any


@dataclass(frozen=True, slots=True)
class Artifact:
    """One compiled contract; `immutables` are (start, length) places in the runtime code."""

    abi: list[dict[str, Any]]
    bytecode: str
    runtime: bytes
    immutables: list[tuple[int, int]]
    compiler: str
    sources_sha256: str


@cache
def artifact(name: str) -> Artifact:
    """The artifact of `PodPayments`, `PodRegistry` or `TestToken`."""
    text = resources.files("trustedpods.contracts").joinpath("abi", f"{name}.json").read_text()
    data = json.loads(text)
    return Artifact(
        abi=data["abi"],
        bytecode=data["bytecode"],
        runtime=bytes.fromhex(data["runtime"][2:]),
        immutables=[(start, length) for start, length in data["immutables"]],
        compiler=data["compiler"],
        sources_sha256=data["sources_sha256"],
    )
