# SPDX-License-Identifier: Apache-2.0
"""Names of pods as people type them."""

import re

from trustedpods.protocol.errors import BadInput

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def check_name(name: str, where: str) -> str:
    """*name* if it can be a pod's name; *where* names the argument in the error."""
    if not _LABEL.fullmatch(name):
        raise BadInput(
            f"not a pod's name: {name!r}",
            where=where,
            hint="lower-case letters, digits and dashes, at most 63, as in metadata.name",
        )
    return name
