# SPDX-License-Identifier: Apache-2.0
"""The key that pays gas: its address and coin, what it has under way, and whether the owner named it."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import trio

from trustedpods.contracts.eip712 import address_of
from trustedpods.protocol.errors import TrustedPodsError
from trustedpods.protocol.ids import Address
from trustedpods.provider.admin.views import AdminRequest, View
from trustedpods.provider.core.operator_key.rotation import (
    KeyFacts,
    RotationFacts,
    RotationStep,
    next_step,
    told,
)
from trustedpods.provider.doors import Doors
from trustedpods.provider.keys.operator_files import HowFar, OperatorKeys, change_of, read_operator_keys
from trustedpods.provider.store import claims
from trustedpods.provider.store.operator.transactions import unfinished_of

if TYPE_CHECKING:
    from trustedpods.contracts.client import Chain


class OperatorKeyRequest(AdminRequest):
    """How does the operator's key stand?"""

    verb: Literal["operator-key"] = "operator-key"


class KeyChange(View):
    """How far a change of keys is: its `step` (`RotationStep`), what to do in words, and the keys."""

    step: str
    told: str
    following: str | None
    former: str | None


class OperatorKeyView(View):
    """The running daemon's operator key; nothing of it is secret.

    `balance` is in wei, as text. `unfinished` transactions are written down and not known to be final (at
    most so many), `former_unfinished` are those of other keys, `claims_out` are claims under way. `named`:
    the owner let it act in both contracts. `change` is None where none is under way. What files or chain
    did not say is None, and `trouble` says why.
    """

    address: str
    balance: str | None
    named: bool | None
    unfinished: int
    former_unfinished: int
    claims_out: int
    change: KeyChange | None
    trouble: str | None


async def read_operator_key(doors: Doors) -> OperatorKeyView:
    """The answer; StoreFailure without books."""
    address, chain_id = address_of(doors.operator_key), doors.config.market.chain_id
    unfinished = await doors.store.read(unfinished_of, chain_id)
    own, others = unfinished[address], unfinished.total() - unfinished[address]
    out = await doors.store.read(claims.count_open)
    balance, named, change, trouble = None, None, None, None
    try:
        balance = str(await doors.chain.gas_balance(address))
        named = await doors.chain.is_operator(doors.owner, address)
        change = await _change(doors, address, others)
    except TrustedPodsError as error:
        trouble = error.what
    return OperatorKeyView(
        address=address,
        balance=balance,
        named=named,
        unfinished=own,
        former_unfinished=others,
        claims_out=out,
        change=change,
        trouble=trouble,
    )


def change_under_way(doors: Doors) -> HowFar | None:
    """By the files' names; a folder that does not say is told by `operator-key` and `doctor`."""
    try:
        return change_of(Path(doors.config.identity.operator_key_file))
    except TrustedPodsError:
        return None


async def _change(doors: Doors, used: Address, under_way: int) -> KeyChange | None:
    path = Path(doors.config.identity.operator_key_file)
    if change_of(path) is None:
        return None
    keys = await trio.to_thread.run_sync(read_operator_keys, path)
    return change_view(await read_facts(doors.chain, doors.owner, keys, used, under_way))


def change_view(facts: RotationFacts) -> KeyChange | None:
    """As it is told; None where none is under way."""
    if next_step(facts) is RotationStep.NOTHING:
        return None
    return KeyChange(
        step=next_step(facts),
        told=told(facts),
        following=None if facts.following is None else facts.following.address,
        former=None if facts.former is None else facts.former.address,
    )


async def read_facts(
    chain: "Chain", owner: Address, keys: OperatorKeys, used: Address | None, under_way: int
) -> RotationFacts:
    """What the chain says of the keys; NetworkFailure where it says nothing.

    A key that is used and of which no file is here was lost: it is the former one.
    """

    async def of(address: Address) -> KeyFacts:
        rights = await chain.operator_rights(owner, address)
        return KeyFacts(address, await chain.gas_balance(address), rights)

    former = None if keys.former is None else keys.former.address
    if former is None and keys.current is None:
        former = used
    return RotationFacts(
        current=None if keys.current is None else await of(address_of(keys.current)),
        following=None if keys.following is None else await of(address_of(keys.following)),
        former=None if former is None else await of(former),
        former_here=keys.former is not None and keys.former.key is not None,
        used=used,
        under_way=under_way,
        gas_price=await chain.gas_price(),
    )
