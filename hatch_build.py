# SPDX-License-Identifier: Apache-2.0
"""The view of the rooms that an editable install imports: `build/view/trustedpods/ROOM`, links made here.

The rooms lie at the top of the repository and import as `trustedpods.ROOM`. A wheel moves them there
(`tool.hatch.build.targets.wheel.sources`, the one list of rooms); an editable install cannot rewrite
prefixes, so it gets a folder of links. The links are never committed: they break archives and Windows.
"""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

VIEW = Path("build/view")


class RoomsHook(BuildHookInterface):  # type: ignore[type-arg]
    """Makes the links before an editable wheel is built; other builds need none."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Hatchling's call at the start of a build of kind *version*."""
        if version != "editable":
            return
        root = Path(self.root)
        rooms = self.build_config.target_config["sources"]
        for source, target in rooms.items():
            link = root / VIEW / target
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(Path("../" * len(link.parent.relative_to(root).parts)) / source)
        _forget_others(root, set(rooms.values()))


def _forget_others(root: Path, targets: set[str]) -> None:
    for link in (root / VIEW).glob("*/*"):
        if link.relative_to(root / VIEW).as_posix() not in targets:
            link.unlink()
