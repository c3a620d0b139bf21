# SPDX-License-Identifier: Apache-2.0
"""How images are opened in one run of a verb: who is told, what may be asked, and what is open already."""

from dataclasses import dataclass, field
from typing import Protocol

from trustedpods.publisher.images.oci import Image


class ImageTold(Protocol):
    """Where a person follows along."""

    def line(self, text: str) -> None:
        """Something happened."""

    def progress(self, name: str, done: int, total: int) -> None:
        """So many of so many bytes of *name*."""


class Silent:
    """Tells nobody."""

    def line(self, text: str) -> None:
        """Nothing."""

    def progress(self, name: str, done: int, total: int) -> None:
        """Nothing."""


@dataclass(frozen=True, slots=True)
class ImageOpening:
    """One run's way to images; an image that is named twice is opened once, so that a tag means one image."""

    told: ImageTold = field(default_factory=Silent)
    offline: bool = False
    """Ask nobody: what is not on this disk is refused."""
    builder: str | None = None
    """The program that builds folders with a Dockerfile; None: the first that is there."""
    opened: dict[str, Image] = field(default_factory=dict)
    """By the reference as it can be opened from anywhere."""
