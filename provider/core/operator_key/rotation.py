# SPDX-License-Identifier: Apache-2.0
"""A change of the operator's key, as a pure function of what stands in files, books and chain.

Nothing else remembers how far it is, so a kill at any moment costs nothing: whoever looks again finds the
same next step. No step takes away what a later one needs: the new key may act before the old one is put
aside, and the old one is forgotten once nothing of it is left.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from trustedpods.contracts.records import OperatorRights
from trustedpods.protocol.ids import Address

SWEEP_GAS = 40_000
"""Of a plain payment, with what the chain's client adds to a node's estimate (36,250)."""

SWEEP_PRICES = 4
"""Over what coin is left for each unit of gas: twice today's price is offered, and again as much may be
needed to raise it, or for what a rollup charges beside gas."""


CHANGE_WORDS: Final[Mapping[str, str]] = {
    "made": "a new key is made and not in use yet",
    "switched": "the key before it is not done with yet",
}
"""What a change of keys that is half done means, by how far the files say it is."""


class RotationStep(StrEnum):
    """What is to be done next. Those of the owner and of people take any time; nothing is lost meanwhile."""

    NOTHING = "nothing"
    NAME = "name"
    """The owner names the new key in both contracts."""
    SWITCH = "switch"
    """The new key's file takes the place of the old one's, which is kept."""
    START = "start"
    """No daemon answers."""
    RESTART = "restart"
    """The daemon still pays with the old key."""
    SETTLE = "settle"
    """The daemon brings to their end what the old key sent; with the new one it sends nothing before."""
    TAKE_BACK = "take-back"
    """The owner takes the old key's rights back."""
    MOVE_COIN = "move-coin"
    """The daemon sends the rest of the old key's coin to the new one."""
    FORGET = "forget"
    """The old key's file goes."""


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """One key: its coin in wei, and where the owner named it."""

    address: Address
    wei: int
    rights: OperatorRights


@dataclass(frozen=True, slots=True)
class RotationFacts:
    """What stands.

    `current`, `following` and `former` are the keys of the three files; `former` may be known by its address
    alone (not `former_here`). `used` is the running daemon's, None where none answers; `under_way` are
    transactions of former keys in its books. `gas_price` is in wei. `lost`: the former key may be in others'
    hands, so its rights end before anything else.
    """

    current: KeyFacts | None
    following: KeyFacts | None
    former: KeyFacts | None
    former_here: bool
    used: Address | None
    under_way: int
    gas_price: int
    lost: bool = False


def next_step(facts: RotationFacts) -> RotationStep:
    """The one step that comes next."""
    if facts.following is not None:
        return RotationStep.SWITCH if facts.following.rights.all else RotationStep.NAME
    former = facts.former
    if former is None or facts.current is None:
        return RotationStep.NOTHING
    left = (
        (facts.lost and former.rights.any, RotationStep.TAKE_BACK),
        (facts.used is None, RotationStep.START),
        (facts.used != facts.current.address, RotationStep.RESTART),
        (facts.under_way > 0, RotationStep.SETTLE),
        (former.rights.any, RotationStep.TAKE_BACK),
        (facts.former_here and movable(former.wei, facts.gas_price) > 0, RotationStep.MOVE_COIN),
    )
    return next((step for holds, step in left if holds), RotationStep.FORGET)


def movable(wei: int, gas_price: int) -> int:
    """How much of a former key's coin is sent to the new one; 0 where it would not be worth its gas."""
    kept = SWEEP_GAS * SWEEP_PRICES * max(1, gas_price)
    return wei - kept if wei > 2 * kept else 0


def needs_coin(facts: RotationFacts, *, lost: bool) -> bool:
    """Whether somebody has to give the new key coin: the old one has none to hand on, or cannot."""
    if facts.following is None or facts.following.wei:
        return False
    return lost or facts.current is None or not movable(facts.current.wei, facts.gas_price)


def told(facts: RotationFacts) -> str:
    """What stands and what to do, in a sentence for the operator."""
    new = "" if facts.following is None else facts.following.address
    old = "" if facts.former is None else facts.former.address
    rotate = "`trustedpods-provider operator-key --rotate`"
    then = f"then {rotate} again"
    restart = "systemctl restart trustedpods-provider"
    return {
        RotationStep.NOTHING: "none is under way",
        RotationStep.NAME: f"the owner has to name the new key {new} in both contracts, {then}",
        RotationStep.SWITCH: f"the owner named the new key {new}: {rotate}",
        RotationStep.START: f"start the daemon, which no longer uses {old}, {then}",
        RotationStep.RESTART: f"the daemon still uses {facts.used}: {restart}, {then}",
        RotationStep.SETTLE: f"{facts.under_way} transactions of {old} come to their end: wait (and send "
        f"it coin where it has none), {then}",
        RotationStep.TAKE_BACK: f"the owner has to take the rights of the old key {old} back, {then}",
        RotationStep.MOVE_COIN: f"the daemon sends the coin of {old} to the new key: wait, {then}",
        RotationStep.FORGET: f"nothing of {old} is left: {rotate} ends it",
    }[next_step(facts)]
