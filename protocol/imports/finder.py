# SPDX-License-Identifier: Apache-2.0
"""The finder: packages whose own code runs at first use, and modules that are run beside stand-ins.

A module that this finder does not know, or that comes from no source file, is left to Python.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from types import ModuleType
from typing import Final

from trustedpods.protocol.imports.stand_ins import BESIDE

LATER: Final[Mapping[str, str | None]] = {
    "eth_account": None,
    "libp2p": None,
    "libp2p.network": None,
    "libp2p.security": None,
    "libp2p.tools.anyio_service": None,
    "libp2p.transport": None,
    "libp2p.utils": "libp2p.utils.varint",
}
"""Packages that are folders until somebody asks for what their code makes, and where it is looked for first.

`import libp2p.peer.id` alone would run `libp2p/__init__.py`, which imports every transport that a host can
have, QUIC, ACME, mDNS and DNS: 0.9 s of a command's CPU. Of eth_account typed data are hashed; its root
brings keystores and all kinds of transactions. `libp2p.utils` looks at network interfaces, by psutil.
"""


def install() -> None:
    """From now on the libraries above are imported so. A second call does nothing."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _LaterLoader(SourceFileLoader):
    """Leaves a package a folder until somebody asks for what its code makes."""

    def exec_module(self, module: ModuleType) -> None:
        vars(module)["__getattr__"] = _running(module, super().exec_module)


def _running(package: ModuleType, run: Callable[[ModuleType], None]) -> Callable[[str], object]:
    first = LATER[package.__name__]

    def missing(name: str) -> object:
        submodule = sys.modules.get(f"{package.__name__}.{name}")  # under way: Python has not set it yet
        if submodule is not None:
            return submodule
        if name.startswith("__") and name != "__version__":  # what Python itself looks for in any module
            raise AttributeError(name)
        if first is not None and hasattr(import_module(first), name):
            return getattr(import_module(first), name)
        vars(package).pop("__getattr__", None)
        run(package)
        return getattr(package, name)

    return missing


class _BesideLoader(SourceFileLoader):
    """Runs the module while stand-ins are in the place of others, and takes them away again."""

    def exec_module(self, module: ModuleType) -> None:
        stand_ins = BESIDE[module.__name__]()
        if any(name in sys.modules for name in stand_ins):
            super().exec_module(module)
            return
        sys.modules.update(stand_ins)  # type: ignore[arg-type]  # None: not there (language reference 5.3.1)
        try:
            super().exec_module(module)
        finally:
            for name in stand_ins:
                sys.modules.pop(name, None)


class _Finder(MetaPathFinder):
    """Finds a few modules, as Python would, and gives them a loader above; all others are left to Python."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in LATER and fullname not in BESIDE:
            return None
        found = PathFinder.find_spec(fullname, path)
        if found is None or found.origin is None or not isinstance(found.loader, SourceFileLoader):
            return None
        loader = (_LaterLoader if fullname in LATER else _BesideLoader)(fullname, found.origin)
        return spec_from_file_location(
            fullname, found.origin, loader=loader, submodule_search_locations=found.submodule_search_locations
        )
