# SPDX-License-Identifier: Apache-2.0
"""What `watch` decides of one pod: what is wrong, whether to top up and by how much. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from trustedpods.contracts.records import Channel
from trustedpods.protocol.errors import ExitCode
from trustedpods.protocol.units import TokenUnits, UnixSeconds, Usage
from trustedpods.publisher.core.cost import Shape
from trustedpods.publisher.core.money import DAY_S, HOUR_S
from trustedpods.publisher.core.networks.telling import moment

STALE_S = 2 * DAY_S
"""A running pod is claimed daily; the longer a meter waits, the more it could claim at once."""

LOW_RUNWAY_S = HOUR_S
"""A pod whose money lasts less is low on funds, where nothing else was asked for."""

MARGIN_S = 120
"""Between the provider's clock, the chain's and the moment of asking."""


def open_problems(
    shape: Shape | None, idle_mib: int, usage: Usage, since: UnixSeconds, now: UnixSeconds
) -> list[str]:
    """*usage* that is told and not yet claimed, beyond what so large a pod can reach from *since* to *now*.

    Without the *shape* (a pod that was not deployed from here) nothing can be said.
    """
    if shape is None:
        return []
    seconds = max(0, now - since) + MARGIN_S
    most = shape.awake(seconds, shape.max_replicas, idle_mib)
    pairs = (
        ("CPU", usage.cpu_core_ms, most.cpu_core_ms, "core-ms"),
        ("memory", usage.memory_mib_s, most.memory_mib_s, "MiB-s"),
        ("storage", usage.storage_mib_s, most.storage_mib_s, "MiB-s"),
    )
    return [
        f"{name} since {since}: {used} {unit} counted, {bound} is the most that the pod can use"
        for name, used, bound, unit in pairs
        if used > bound
    ]


def channel_problems(channel: Channel, now: UnixSeconds, *, running: bool) -> list[str]:
    """What is wrong with how the channel is claimed; *now* is the chain's time."""
    if channel.up_to > now + MARGIN_S:
        return [f"claimed up to {channel.up_to}, which is to come"]
    age = now - channel.up_to
    if running and age > STALE_S:
        return [f"not claimed for {age // HOUR_S} h: until then a meter could claim all of it at once"]
    return []


def drain_problem(at: int) -> str:
    """What is told of a pod whose provider removes all its pods *at* that time (Unix seconds)."""
    return (
        f"the provider removes it at {moment(at)}, as all its pods: "
        "deploy it to another provider before (`deploy --provider`), and delete it here then"
    )


@dataclass(frozen=True, slots=True)
class TopUp:
    """What the owner allows: below how many seconds of runway, and base units a day (UTC)."""

    below_s: int
    max_per_day: TokenUnits


@dataclass(frozen=True, slots=True)
class Spent:
    """Base units that were topped up on *day* (as in 2026-11-21)."""

    day: str
    units: int

    def on(self, today: str) -> int:
        """What was spent today."""
        return self.units if self.day == today else 0


@dataclass(frozen=True, slots=True)
class PodFunds:
    """What a pod has, by the chain (*left*) and by its provider (the rest), and what a second may cost.

    `runway_s` None: it burns nothing. `peak` and `reserve` are base units: an hour at full size, and
    what the provider keeps back for its grace period.
    """

    left: int
    accrued: int
    runway_s: int | None
    peak_hour: int
    reserve: int


@dataclass(frozen=True, slots=True)
class PayIn:
    """How much to pay in now (0: nothing), and whether the money is low and stays so."""

    units: TokenUnits
    low: bool


def payment(money: PodFunds, allowed: TopUp | None, spent: Spent, today: str) -> PayIn:
    """Top up to `below_s` at full size, within what is left of the day's allowance.

    The provider says how long the money lasts; a lie costs at most the day's allowance, and nothing
    where the deposit is enough by the client's own count.
    """
    below = LOW_RUNWAY_S if allowed is None else allowed.below_s
    if money.runway_s is None or money.runway_s >= below:
        return PayIn(TokenUnits(0), low=False)
    if allowed is None:
        return PayIn(TokenUnits(0), low=True)
    wanted = -(-money.peak_hour * below // HOUR_S) + money.reserve + money.accrued - money.left
    room = max(0, allowed.max_per_day - spent.on(today))
    units = max(0, min(wanted, room))
    return PayIn(TokenUnits(units), low=units < wanted)


PROGRAM_FAILS = "failing"
"""A provider's word for a pod that ran, and whose program does not start any more."""


def checked(phase: str, runway_s: int | None) -> ExitCode:
    """What a script should do about a pod: `DONE` where it serves, asleep or not, and its money lasts.

    `PROGRAM`: what runs in it fails, and only its publisher can mend that. `FUNDS`: its deposit is used up,
    or lasts less than an hour. `REFUSED`: it does not serve for another reason, which its status tells.
    *runway_s* None: it burns nothing.
    """
    if phase == PROGRAM_FAILS:
        return ExitCode.PROGRAM
    if runway_s is not None and runway_s < LOW_RUNWAY_S:
        return ExitCode.FUNDS
    return ExitCode.DONE if phase == "serving" else ExitCode.REFUSED


_SEVERITY = (
    ExitCode.EVIDENCE,
    ExitCode.COPIES_DIFFER,
    ExitCode.FUNDS,
    ExitCode.REFUSED,
    ExitCode.STORE,
    ExitCode.NETWORK,
)


def worst(codes: Iterable[int]) -> int:
    """The exit code of a round: what a person should look at first."""
    bad = {code for code in codes if code}
    for code in _SEVERITY:
        if code in bad:
            return int(code)
    return min(bad, default=0)
