# SPDX-License-Identifier: Apache-2.0
"""What a pod used, as its meter signed it: the leaves behind every bill."""

from typing import Annotated, Literal

from pydantic import Field

from trustedpods.protocol import limits
from trustedpods.protocol.messages.base import U64, Bytes32, Message


class UsageBody(Message):
    """Usage leaves of a channel that end after `since`."""

    kind: Literal["usage"] = "usage"
    since: U64 = 0


class UsageLeaf(Message):
    """One period of one channel as signed by the meter, with its proof under the batch's root."""

    from_: U64
    up_to: U64
    usage: Annotated[list[U64], Field(min_length=5, max_length=5)]
    root: Bytes32
    proof: Annotated[list[Bytes32], Field(max_length=32)]
    transaction: Bytes32 | None


class UsageReport(Message):
    """Leaves of one channel, oldest first, and what has accrued behind the last of them."""

    kind: Literal["usage-report"] = "usage-report"
    leaves: Annotated[list[UsageLeaf], Field(max_length=limits.MAX_LEAVES)]
    open_usage: Annotated[list[U64], Field(min_length=5, max_length=5)]
