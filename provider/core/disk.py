# SPDX-License-Identifier: Apache-2.0
"""What the free space of the books' disk allows, and when the reserve is spent or set aside again. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from trustedpods.protocol.limits import MIB

SPEND_PART = 8
"""The reserve is spent while an eighth of its size is still free: journals beside the books need some too."""


class DiskState(StrEnum):
    """How the books' disk is; all but `good` take no new pods."""

    GOOD = "good"
    LOW = "low"
    """Less is free than is kept for pods that are here."""
    SPENT = "reserve-spent"
    """What is left is for stops, claims and removals."""
    FAILING = "failing"
    """The last write failed: what must stop stops, and is written down later."""


@dataclass(frozen=True, slots=True)
class DiskSizes:
    """Bytes: the size of the *reserve*, and what must be free for a new pod (*least*). 0 is none."""

    reserve: int
    least: int

    @classmethod
    def of_mib(cls, reserve: int, least: int) -> "DiskSizes":
        """From the configuration's numbers."""
        return cls(reserve * MIB, least * MIB)


NO_SIZES = DiskSizes(0, 0)


def must_spend(free: int, sizes: DiskSizes) -> bool:
    """Whether a reserve that is there has to be freed now."""
    return free < spared(sizes)


def spared(sizes: DiskSizes) -> int:
    """Bytes that what can wait leaves free, so that the reserve is not spent because of it."""
    return sizes.reserve // SPEND_PART


def may_set_aside(free: int, sizes: DiskSizes) -> bool:
    """Whether a reserve that is not there can be made, with enough left for new pods."""
    return sizes.reserve > 0 and free >= sizes.reserve + sizes.least


def state_of(free: int, sizes: DiskSizes, *, reserved: bool, failing: bool) -> DiskState:
    """The state of a disk with *free* bytes; *failing*: the last write did not get through."""
    if failing:
        return DiskState.FAILING
    if sizes.reserve and not reserved and not may_set_aside(free, sizes):
        return DiskState.SPENT
    return DiskState.LOW if free < sizes.least else DiskState.GOOD
