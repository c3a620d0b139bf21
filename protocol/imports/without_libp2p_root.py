# SPDX-License-Identifier: Apache-2.0
"""Imports parts of libp2p without the rest: its root imports every transport, QUIC, ACME, mDNS and DNS.

`protocol/net` uses its Noise, yamux and multistream. `import libp2p.peer.id` first runs `libp2p/__init__.py`,
which imports all that a host of libp2p can have: 0.9 s of a command's 1.2 s. Here the packages of `LATER` are
folders at first, and run their `__init__.py` when something is asked of them that it makes, as
`from libp2p import new_host` does. Written for libp2p 0.8.1, the version that pyproject.toml pins.
"""

import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from types import ModuleType
from typing import Final

LATER: Final = frozenset(
    {"libp2p", "libp2p.network", "libp2p.security", "libp2p.tools.anyio_service", "libp2p.transport"}
)
"""Packages whose own code is not needed for their modules, and costs much."""

TYPES: Final = "libp2p.custom_types"
"""Names one class of QUIC, in an alias for the type checker."""

QUIC_STREAM: Final = "libp2p.transport.quic.stream"


def install() -> None:
    """From now on libp2p's parts are imported without its root. A second call does nothing."""
    if not any(isinstance(finder, _Libp2pFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Libp2pFinder())


class _LaterLoader(SourceFileLoader):
    """Leaves a package a folder until somebody asks for what its code makes."""

    def exec_module(self, module: ModuleType) -> None:
        vars(module)["__getattr__"] = _running(module, super().exec_module)


def _running(package: ModuleType, run: Callable[[ModuleType], None]) -> Callable[[str], object]:
    def missing(name: str) -> object:
        submodule = sys.modules.get(f"{package.__name__}.{name}")  # under way: Python has not set it yet
        if submodule is not None:
            return submodule
        if name.startswith("__"):  # what Python itself looks for in any module
            raise AttributeError(name)
        vars(package).pop("__getattr__", None)
        run(package)
        return getattr(package, name)

    return missing


class _TypesLoader(SourceFileLoader):
    """Runs the module while a class stands in for QUIC's, and takes that away again."""

    def exec_module(self, module: ModuleType) -> None:
        if QUIC_STREAM in sys.modules:
            super().exec_module(module)
            return
        stand_in = ModuleType(QUIC_STREAM)
        vars(stand_in)["QUICStream"] = type("QUICStream", (), {})
        sys.modules[QUIC_STREAM] = stand_in
        try:
            super().exec_module(module)
        finally:
            sys.modules.pop(QUIC_STREAM, None)


class _Libp2pFinder(MetaPathFinder):
    """Finds a few modules, as Python would, and gives them a loader above; all others are left to Python."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in LATER and fullname != TYPES:
            return None
        found = PathFinder.find_spec(fullname, path)
        if found is None or found.origin is None or not isinstance(found.loader, SourceFileLoader):
            return None
        loader = (_LaterLoader if fullname in LATER else _TypesLoader)(fullname, found.origin)
        return spec_from_file_location(
            fullname, found.origin, loader=loader, submodule_search_locations=found.submodule_search_locations
        )
