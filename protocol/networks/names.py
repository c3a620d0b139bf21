# SPDX-License-Identifier: Apache-2.0
"""What a network is called: a name that it keeps, and the 32 bytes that stand for it in signed requests."""

import hashlib
import re
from typing import Final

from trustedpods.protocol.errors import BadInput

MAX_NAME: Final = 40
"""Letters of a network's name: a Lease and a Secret put something around it and end at 63."""

_SALT_TAG: Final = b"trusted-pods/network-salt/v1\0"
_NAME: Final = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")


def check_network_name(name: str) -> str:
    """*name* if a network can be called so; BadInput otherwise."""
    if len(name) > MAX_NAME or not _NAME.fullmatch(name):
        raise BadInput(
            f"not a network's name: {name[:80]!r}",
            hint=f"lower-case letters, digits and dashes, a letter first, at most {MAX_NAME}",
        )
    return name


def network_salt(name: str) -> bytes:
    """32 bytes that name the network beside its founder's address: a member finds it by these two alone."""
    return hashlib.sha256(_SALT_TAG + name.encode()).digest()
