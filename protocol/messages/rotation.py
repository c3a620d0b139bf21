# SPDX-License-Identifier: Apache-2.0
"""The body of the verb `rotate`: after a reboot a channel moves to the newly attested meter."""

from typing import Annotated, Literal

from pydantic import Field

from trustedpods.protocol.messages.base import U32, Bytes20, Message


class RotateBody(Message):
    """A publisher's consent (EIP-712 `Move`) that the attested meter takes its channel over.

    The new meter is the attested one. `as_of` is the chain's time when the publisher looked: the
    channel must stand before it, or it is another life of it. `from_`, `up_to` and `pay` are zero for
    a move alone, else the period that an old meter never claimed and the base units agreed for it.
    """

    kind: Literal["rotate"] = "rotate"
    old_meter: Bytes20
    as_of: U32
    deadline: U32
    from_: U32 = 0
    up_to: U32 = 0
    pay: Annotated[int, Field(ge=0, lt=1 << 88)] = 0
    signature: Annotated[bytes, Field(min_length=65, max_length=65)]
