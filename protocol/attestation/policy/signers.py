# SPDX-License-Identifier: Apache-2.0
"""Who must have signed a pod's images: `[[image_signers]]` of a policy."""

from dataclasses import dataclass
from typing import Final

from trustedpods.protocol.images.references import ImageReference

ANY: Final = "any"
"""Instead of names: every image, also one of an archive, which has no name that counts."""

BELOW: Final = "/*"
"""After a name: all repositories below it."""


@dataclass(frozen=True, slots=True)
class ImageSigner:
    """One who signs: what people call him, whose *images* he signs, and his public *keys* (DER)."""

    name: str
    images: tuple[str, ...]
    keys: tuple[bytes, ...]

    def is_for(self, reference: ImageReference | None) -> bool:
        """Whether he signs the image; None: it is of no registry."""
        if ANY in self.images:
            return True
        if reference is None:
            return False
        name = f"{reference.host}/{reference.repository}"
        return any(
            name.startswith(wanted.removesuffix("*")) if wanted.endswith(BELOW) else name == wanted
            for wanted in self.images
        )
