# SPDX-License-Identifier: Apache-2.0
"""Names of networks and nodes, and bounds of their addresses: manifests need these words, and no keys."""

from typing import Annotated, Final

from pydantic import Field

MAX_NAME: Final = 40
"""Letters of a network's name: a Lease and a Secret put something before it and end at 63."""

Name = Annotated[str, Field(max_length=MAX_NAME, pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$")]

PodName = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]

MAX_ADDRESSES: Final = 512
"""Lines of the address book: four for each of the most nodes, a fifth of the state with usual addresses."""

MAX_IDENTITY: Final = 128
"""Bytes of what a node is known by: a public key of any usual kind."""
