# SPDX-License-Identifier: Apache-2.0
"""Compiles the contracts with the npm compiler and keeps `abi/*.json` equal to the sources.

`python -m trustedpods.contracts.compile` writes; with `--check` it only compares, and ends with
code 3 when a committed file differs. What is written is all that the client, the deployer and
`verify` need, so an installed package needs no compiler.
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import click

from trustedpods.protocol.errors import ExitCode, NoContext

ROOM = Path(__file__).resolve().parent
CONTRACTS = ("PodPayments", "PodRegistry", "TestToken")
SETTINGS: dict[str, Any] = {
    "optimizer": {"enabled": True, "runs": 10_000},
    "evmVersion": "cancun",
    "metadata": {"bytecodeHash": "none"},
    "outputSelection": {
        "*": {
            "*": [
                "abi",
                "evm.bytecode.object",
                "evm.deployedBytecode.object",
                "evm.deployedBytecode.immutableReferences",
            ]
        }
    },
}


def _sources() -> dict[str, str]:
    return {f"src/{path.name}": path.read_text() for path in sorted((ROOM / "src").glob("*.sol"))}


def source_hash(sources: dict[str, str], libraries: str) -> str:
    """SHA-256 over the sources, the settings and the exact versions of compiler and libraries."""
    text = json.dumps([sources, SETTINGS, libraries], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _versions() -> str:
    lock = json.loads((ROOM / "package-lock.json").read_text())["packages"]
    names = ("solc", "@openzeppelin/contracts")
    return " ".join(f"{name}@{lock[f'node_modules/{name}']['version']}" for name in names)


def solc_output(*outputs: str) -> dict[str, Any]:
    """What the compiler says of our sources, standard JSON; *outputs* instead of what we package.

    Needs `npm ci` in this folder.
    """
    import solcx  # noqa: PLC0415  a development dependency

    if not (ROOM / "node_modules" / "solc").is_dir():
        raise NoContext("the Solidity compiler is missing", hint="run `npm ci` in contracts/")
    settings = SETTINGS | ({"outputSelection": {"*": {"*": outputs, "": outputs}}} if outputs else {})
    result: dict[str, Any] = solcx.compile_standard(
        {
            "language": "Solidity",
            "sources": {name: {"content": text} for name, text in _sources().items()},
            "settings": settings,
        },
        solc_binary=ROOM / "solc-wrapper.js",
        base_path=str(ROOM),
    )
    return result


def compile_contracts() -> dict[str, str]:
    """File name -> JSON text of every contract; needs `npm ci` in this folder."""
    output = solc_output()
    digest = source_hash(_sources(), _versions())
    return {
        f"{name}.json": _artifact(name, output["contracts"][f"src/{name}.sol"][name], digest)
        for name in CONTRACTS
    }


def _artifact(name: str, compiled: dict[str, Any], digest: str) -> str:
    evm = compiled["evm"]
    artifact = {
        "contract": name,
        "compiler": _versions(),
        "sources_sha256": digest,
        "abi": compiled["abi"],
        "bytecode": "0x" + evm["bytecode"]["object"],
        "runtime": "0x" + evm["deployedBytecode"]["object"],
        "immutables": sorted(
            [place["start"], place["length"]]
            for places in evm["deployedBytecode"]["immutableReferences"].values()
            for place in places
        ),
    }
    return json.dumps(artifact, indent=1) + "\n"


@click.command()
@click.option("--check", is_flag=True, help="Compare with the committed files; write nothing.")
def main(check: bool) -> None:
    """Compile the contracts into abi/*.json."""
    folder = ROOM / "abi"
    differing = []
    try:
        compiled = compile_contracts()
    except NoContext as error:
        click.echo(f"error: {error}; {error.hint}", err=True)
        sys.exit(error.exit_code)
    for name, text in compiled.items():
        path = folder / name
        if path.exists() and path.read_text() == text:
            continue
        differing.append(name)
        if not check:
            folder.mkdir(exist_ok=True)
            path.write_text(text)
    if differing:
        click.echo(f"{'differ from the sources' if check else 'written'}: {', '.join(differing)}")
    if check and differing:
        sys.exit(ExitCode.COPIES_DIFFER)


if __name__ == "__main__":
    main()
