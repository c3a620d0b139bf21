# SPDX-License-Identifier: Apache-2.0
"""Changes the operator's key for a new one. It may be killed anywhere and run again: it looks, and goes on.

`core/operator_key/rotation.py` says which step is next. Files and, where its key is here, the owner's
transactions are done; what the owner, the daemon or a person does is told, and waited for.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import trio

from trustedpods.contracts.client import Chain
from trustedpods.protocol.errors import BadInput, NoContext
from trustedpods.protocol.ids import Address
from trustedpods.protocol.units import duration_text
from trustedpods.provider.admin.reports.operator_key import read_facts
from trustedpods.provider.config import ProviderConfig
from trustedpods.provider.core.operator_key.rotation import (
    RotationFacts,
    RotationStep,
    needs_coin,
    next_step,
    told,
)
from trustedpods.provider.keys.operator_files import (
    OperatorKeys,
    changed_at,
    forget_former,
    make_following,
    read_operator_keys,
    switch,
)
from trustedpods.provider.setup.operator_key.site import KeySite
from trustedpods.provider.setup.owner.qr_codes import QrRoom, qr_lines
from trustedpods.provider.setup.owner.transactions import (
    UnsignedTransaction,
    funding,
    naming_operator,
    taking_back,
)
from trustedpods.provider.setup.procedure import FIRST_GAS, LOOK_AGAIN_S
from trustedpods.provider.setup.report import transaction_lines

ANOTHER_AFTER_S = 24 * 3600
"""A change begins by itself no sooner after the end of the one before: a command that was killed at that end,
or is typed once more by a script, finds its work done."""


@dataclass(frozen=True, slots=True)
class RotationResult:
    """What stands: the present key's address (None: its file is gone), the next step, and what to sign."""

    operator: Address | None
    step: RotationStep
    told: str
    transactions: tuple[UnsignedTransaction, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether nothing is left to do."""
        return self.step is RotationStep.NOTHING and self.operator is not None

    def lines(self, room: QrRoom | None = None) -> Iterator[str]:
        """For people; with QR codes of what is to be signed where there is *room* for any."""
        yield f"operator's key: {self.operator or 'its file is gone'}"
        yield f"change of keys: {self.told}"
        for one in self.transactions:
            yield from ("", *transaction_lines(one), *(() if room is None else qr_lines(one, room)))

    def plain(self) -> dict[str, object]:
        """Ready for JSON."""
        return {
            "complete": self.complete,
            "operator": self.operator,
            "step": str(self.step),
            "told": self.told,
            "transactions": [one.plain() for one in self.transactions],
        }


@contextmanager
def _written(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        hint = "run it as root" if isinstance(error, PermissionError) else None
        where = str(path.parent)
        raise BadInput(
            f"the key's files cannot be written: {error.strerror}", where=where, hint=hint
        ) from None


def _silent(_result: RotationResult) -> None:
    """Nobody listens."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """Of which provider, and how.

    *lost*: the present key is gone or in others' hands, so the owner takes its rights back at once. For
    *wait_s* what others do is waited for; *waiting* is told each new step that is. *again*: a change begins
    also within `ANOTHER_AFTER_S` of the one before.
    """

    config: ProviderConfig
    site: KeySite
    lost: bool = False
    again: bool = False
    wait_s: float = 0
    waiting: Callable[[RotationResult], None] = _silent

    @property
    def path(self) -> Path:
        """The key's file."""
        return Path(self.config.identity.operator_key_file)


async def stands(rotation: Rotation) -> RotationResult:
    """How far a change of keys is; nothing is changed. NetworkFailure without the chain."""
    async with rotation.site.chain() as chain:
        return _result(rotation, await _look(rotation, chain))


async def rotate(rotation: Rotation) -> RotationResult:
    """Begin a change of keys, or go on with the one that is under way, as far as it goes now.

    NoContext where the present key's file is gone and that was not said (`lost`); BadInput where a file holds
    no key or cannot be written; NetworkFailure without the chain.
    """
    keys = await trio.to_thread.run_sync(read_operator_keys, rotation.path)
    if keys.following is None and (keys.former is None or keys.current is None):
        if (done := await trio.to_thread.run_sync(_done_before, rotation)) is not None:
            result = await stands(rotation)
            return replace(result, told=done) if result.complete else result
        await trio.to_thread.run_sync(_make, rotation, keys)
    deadline, last = trio.current_time() + rotation.wait_s, None
    async with rotation.site.chain() as chain:
        while True:
            facts = await _look(rotation, chain)
            if await _done_here(rotation, chain, facts):
                continue
            result = _result(rotation, facts)
            if result.step is RotationStep.NOTHING or trio.current_time() >= deadline:
                return result
            if result != last:
                rotation.waiting(result)
                last = result
            await trio.sleep(LOOK_AGAIN_S)


def _done_before(rotation: Rotation) -> str | None:
    """That the present key is too new for another change to begin unasked; None where it is not."""
    at = None if rotation.again else changed_at(rotation.path)
    age = None if at is None else max(0, int(time.time() - at))
    if age is None or age >= ANOTHER_AFTER_S:
        return None
    return (
        f"none is under way, and none is begun: this key is made, or its change ended, {duration_text(age)} "
        "ago; say --again to change it once more"
    )


def _make(rotation: Rotation, keys: OperatorKeys) -> None:
    if keys.current is None and not rotation.lost:
        raise NoContext(
            "the operator's key is not there",
            where=str(rotation.path),
            hint="put it back from a backup, or say --lost for a new one",
        )
    with _written(rotation.path):
        make_following(rotation.path, *rotation.site.daemons_user())


async def _look(rotation: Rotation, chain: Chain) -> RotationFacts:
    keys = await trio.to_thread.run_sync(read_operator_keys, rotation.path)
    daemon = await rotation.site.daemon()
    used = None if daemon is None else Address(daemon.address)
    under_way = 0 if daemon is None else daemon.former_unfinished
    facts = await read_facts(chain, Address(rotation.config.identity.owner), keys, used, under_way)
    return replace(facts, lost=rotation.lost)


async def _done_here(rotation: Rotation, chain: Chain, facts: RotationFacts) -> bool:
    """Do the next step if it is one of files, or of the owner whose key is here; whether it was."""
    step, path = next_step(facts), rotation.path
    if step is RotationStep.SWITCH:
        lost = None if facts.former is None else facts.former.address
        with _written(path):
            await trio.to_thread.run_sync(switch, path, lost)
        return True
    if step is RotationStep.FORGET:
        with _written(path):
            await trio.to_thread.run_sync(forget_former, path)
        return True
    owner = await trio.to_thread.run_sync(rotation.site.owner_key)
    if owner is None:
        return False
    if step is RotationStep.NAME and facts.following is not None:
        await chain.set_operator(owner, facts.following.address)
        if rotation.lost and facts.current is not None:
            await chain.set_operator(owner, facts.current.address, allowed=False)
        return True
    if step is RotationStep.TAKE_BACK and facts.former is not None:
        await chain.set_operator(owner, facts.former.address, allowed=False)
        return True
    return False


def _result(rotation: Rotation, facts: RotationFacts) -> RotationResult:
    step = next_step(facts)
    words = told(facts)
    if facts.current is None and facts.following is None:
        words = (
            f"{rotation.path} is gone: put it back, or `trustedpods-provider operator-key --rotate --lost`"
        )
    operator = None if facts.current is None else facts.current.address
    return RotationResult(operator, step, words, tuple(_to_sign(rotation, facts)))


def _to_sign(rotation: Rotation, facts: RotationFacts) -> Iterator[UnsignedTransaction]:
    """What the owner signs now, and coin that the new key lacks."""
    market, owner = rotation.config.market.market, Address(rotation.config.identity.owner)
    step, former = next_step(facts), facts.former
    if step is RotationStep.NAME and facts.following is not None:
        new = facts.following
        yield from naming_operator(market, owner, new.address, new.rights)
        lost = facts.current or former if rotation.lost else None
        if lost is not None:
            yield from taking_back(market, owner, lost.address, lost.rights)
        if needs_coin(facts, lost=rotation.lost):
            yield funding(market, new.address, FIRST_GAS * max(1, facts.gas_price))
    if step is RotationStep.TAKE_BACK and former is not None:
        yield from taking_back(market, owner, former.address, former.rights)
