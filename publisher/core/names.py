# SPDX-License-Identifier: Apache-2.0
"""Names of pods as people type them."""

import re

from trustedpods.protocol.errors import BadInput

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def check_name(name: str) -> str:
    """*name* if it can be a pod's name, as in `metadata.name`; BadInput otherwise."""
    if not _LABEL.fullmatch(name):
        raise BadInput(
            f"not a pod's name: {name!r}",
            hint="lower-case letters, digits and dashes, at most 63, as in metadata.name",
        )
    return name
