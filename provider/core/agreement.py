# SPDX-License-Identifier: Apache-2.0
"""A channel against what was agreed, at every look, and what may be spent on moving one.

A channel can be closed and opened again under the same id, in one transaction even, so that nobody
sees it absent. What was checked once says nothing about what is there now.
"""

from collections.abc import Container
from dataclasses import dataclass, field

from trustedpods.contracts.eip712 import Move
from trustedpods.contracts.records import Channel, meter_tag
from trustedpods.contracts.terms import Terms
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.ids import Address, ChannelId
from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.core.funds import cap_raised

HOUR_S = 3600
MOVES_PER_HOUR = 200
"""Moves to a new meter that the operator pays for in an hour: all pods of a large machine after a
reboot, at 44,000 gas each."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """What a channel was when it was last found good; `up_to` is where it stood then."""

    terms: Terms
    meter: Address
    up_to: UnixSeconds


def departure(agreed: Agreement, seen: Channel, claimed: Container[UnixSeconds]) -> str | None:
    """How *seen* differs from what was *agreed*, in words; None where it does not.

    *claimed* holds the beginnings and ends of the periods that these books ever claimed of it: within
    one life a channel stands at one of them, also when the chain was set back, or where it stood. Every
    later life begins at its own opening, which is none of them. A publisher may raise the cap, give
    notice and take it back; anybody may top up.
    """
    if seen.meter_tag != meter_tag(agreed.meter):
        return "the channel names another meter than was agreed"
    if seen.terms != agreed.terms and not cap_raised(agreed.terms, seen.terms):
        return "the channel has other terms than were agreed"
    if seen.up_to != agreed.up_to and seen.up_to not in claimed:
        return f"the channel stands at {seen.up_to}, where nothing was claimed: it was opened anew"
    return None


def check_move(move: Move, channel: Channel, now: UnixSeconds) -> None:
    """Refused, with a rule, for what the contract would skip: that costs the operator gas for nothing.

    *now* is the time of the chain's newest block. The signature is checked apart (`move_signer`).
    """
    settles = bool(move.from_ or move.up_to or move.pay)
    faults = (
        (
            channel.meter_tag != meter_tag(move.old_meter),
            "old-meter",
            "the channel names another meter than the one to move from",
        ),
        (
            channel.up_to >= move.as_of,
            "stale",
            f"signed as of {move.as_of}, and the channel stands at {channel.up_to}",
        ),
        (
            settles and move.from_ != channel.up_to,
            "stale",
            f"the settlement begins at {move.from_}, not {channel.up_to}",
        ),
        (settles and move.up_to <= move.from_, "stale", "the settlement is of no period"),
        (move.up_to > now, "stale", f"the settlement ends at {move.up_to}, which is to come"),
        (move.deadline < now, "deadline", f"the move was good until {move.deadline}"),
        (move.pay > channel.left, "deposit", f"the settlement is {move.pay}, and {channel.left} is left"),
    )
    for wrong, rule, words in faults:
        if wrong:
            raise Refused(words, rule=rule)


@dataclass
class MoveBudget:
    """What was spent on handing in moves since the start: one move a channel, so many an hour."""

    handed_in: dict[ChannelId, bytes] = field(default_factory=dict)
    times: list[UnixSeconds] = field(default_factory=list)

    def spend(self, channel: ChannelId, signature: bytes, now: UnixSeconds) -> None:
        """Take a move's gas out of the budget; Refused where nothing is left for it.

        The same move again is free: it meets the transaction of which nobody knows what became.
        """
        known = self.handed_in.get(channel)
        if known == signature:
            return
        if known is not None:
            raise Refused(
                "a move of this channel was handed in since the daemon started",
                rule="moved-before",
                hint="the provider pays for one a boot; close the channel, or wait for its next start",
            )
        self.times = [at for at in self.times if at > now - HOUR_S]
        if len(self.times) >= MOVES_PER_HOUR:
            raise Refused(
                f"{MOVES_PER_HOUR} moves were handed in within an hour",
                rule="move-budget",
                hint="try again later: the provider pays the gas of moves",
            )
        self.times.append(now)
        self.handed_in[channel] = signature

    def failed(self, channel: ChannelId) -> None:
        """The chain showed that the move did not hold: neither it nor another is handed in."""
        self.handed_in[channel] = b""
