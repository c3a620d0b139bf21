# SPDX-License-Identifier: Apache-2.0
"""The finder: packages whose own code runs at first use, and modules that are run beside stand-ins.

A module that this finder does not know, or that comes from no source file, is left to Python.
"""

import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from types import ModuleType
from typing import Final

from trustedpods.protocol.imports.stand_ins import BESIDE, Passed

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


_TURN = threading.RLock()
"""One thread runs a package's own code; another that asks meanwhile waits for what it makes."""

_WAIT_S = 60.0
"""A package's code takes a second. Two threads could each hold a module that the other one imports."""


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
    running = False

    def missing(name: str) -> object:
        submodule = sys.modules.get(f"{package.__name__}.{name}")  # under way: Python has not set it yet
        if submodule is not None:
            return submodule
        if name.startswith("__") and name != "__version__":  # what Python itself looks for in any module
            raise AttributeError(name)
        if first is not None and hasattr(import_module(first), name):
            return getattr(import_module(first), name)
        return made(name)

    def made(name: str) -> object:
        nonlocal running
        if not _TURN.acquire(timeout=_WAIT_S):
            raise ImportError(f"another thread imports {package.__name__} and does not get on")
        try:
            if name in vars(package):  # by another thread, meanwhile
                return vars(package)[name]
            if running or "__getattr__" not in vars(package):  # its own code asks, or has run and made none
                raise AttributeError(f"module {package.__name__!r} has no attribute {name!r}")
            running = True
            try:
                run(package)
                vars(package).pop("__getattr__", None)  # only now: a run that failed is begun anew
            finally:
                running = False
            return getattr(package, name)
        finally:
            _TURN.release()

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
        _pass_on(module)


def _pass_on(module: ModuleType) -> None:
    passed = {name: one.module for name, one in vars(module).items() if isinstance(one, Passed)}
    for name in passed:
        delattr(module, name)

    def missing(name: str) -> object:
        if name not in passed:
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
        return getattr(import_module(passed[name]), name)

    if passed:
        vars(module)["__getattr__"] = missing


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
