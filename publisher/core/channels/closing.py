# SPDX-License-Identifier: Apache-2.0
"""Whether `watch` closes a channel by itself. Pure.

A notice does not say what it is for: its owner may want the deposit back, or may move the channel to another
meter when it is over, which the contract allows with the same notice. So only a notice that this client gave
in order to close is acted upon: its beginning is kept before it is given, and must be the one on chain.
"""

from typing import Literal

from trustedpods.contracts.records import Channel
from trustedpods.protocol.units import UnixSeconds

NOTICE_WITHIN_S = 900
"""From the intent until its transaction is mined: slow blocks, a raised fee. Later ones are not ours."""

NoticeState = Literal["none", "wait", "others", "close"]
"""No notice runs; ours, or another's, still runs; another's is over; ours is over."""


def closing(channel: Channel, intended: UnixSeconds | None, now: UnixSeconds) -> NoticeState:
    """What is to be done about *channel* at the chain's time *now*.

    *intended* is when this client meant to give notice in order to close; None: never, or it took it back.
    """
    if not channel.unlock_at:
        return "none"
    if now < channel.unlock_at:
        return "wait"
    return "close" if meant_to_close(channel, intended) else "others"


def meant_to_close(channel: Channel, intended: UnixSeconds | None) -> bool:
    """Whether the notice of *channel* is the one that this client *intended* to give in order to close."""
    if not channel.unlock_at or intended is None:
        return False
    return intended <= notice_began(channel) <= intended + NOTICE_WITHIN_S


def notice_began(channel: Channel) -> UnixSeconds:
    """When the notice that runs was given, by the chain's clock."""
    return UnixSeconds(channel.unlock_at - channel.terms.unlock_s)
