# SPDX-License-Identifier: Apache-2.0
"""Keeps `py_ecc` out of every process: eth_keyfile imports it for keystores of validators alone.

Whoever imports web3 or eth_account imports eth_keyfile. Its one line for BLS keys cost a sixth of a
command's start (py_ecc computes the tables of two pairings), and py_ecc lifts Python's recursion limit to
100,000 for the whole process: what is nested too deep then ends the process where it raised RecursionError.
What py_ecc is needed for still works: it is imported by the first use of a BLS key.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from types import ModuleType
from typing import Final

KEYFILE: Final = "eth_keyfile.keyfile"
"""The only module that imports py_ecc."""

SECP256K1_ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""`py_ecc.secp256k1.N` (SEC 2, 2.4.1)."""

BLS12_381_ORDER: Final = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001
"""`py_ecc.bls12_381.curve_order` (draft-irtf-cfrg-pairing-friendly-curves, 4.2.1)."""


def install() -> None:
    """From now on eth_keyfile is imported without py_ecc. A second call does nothing."""
    if not any(isinstance(finder, _KeyfileFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _KeyfileFinder())


class _BlsLater:
    """`py_ecc.bls.G2ProofOfPossession`, imported when something of it is asked for."""

    def __getattr__(self, name: str) -> object:
        return getattr(import_module("py_ecc.bls").G2ProofOfPossession, name)


def _stand_ins() -> dict[str, ModuleType]:
    names: dict[str, dict[str, object]] = {
        "py_ecc": {"__path__": []},
        "py_ecc.bls": {"G2ProofOfPossession": _BlsLater()},
        "py_ecc.bls12_381": {"curve_order": BLS12_381_ORDER},
        "py_ecc.secp256k1": {"N": SECP256K1_ORDER},
    }
    modules = {}
    for name, members in names.items():
        modules[name] = ModuleType(name)
        vars(modules[name]).update(members)
    return modules


class _KeyfileLoader(SourceFileLoader):
    """Runs the module while py_ecc's names lead to what stands in for them, and takes these away again."""

    def exec_module(self, module: ModuleType) -> None:
        stand_ins = _stand_ins()
        sys.modules.update(stand_ins)
        try:
            super().exec_module(module)
        finally:
            for name in stand_ins:
                sys.modules.pop(name, None)


class _KeyfileFinder(MetaPathFinder):
    """Finds one module, as Python would, and gives it the loader above; all others are left to Python."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != KEYFILE or any(name.partition(".")[0] == "py_ecc" for name in sys.modules):
            return None
        found = PathFinder.find_spec(fullname, path)
        if found is None or found.origin is None or not isinstance(found.loader, SourceFileLoader):
            return None
        return spec_from_file_location(fullname, found.origin, loader=_KeyfileLoader(fullname, found.origin))
