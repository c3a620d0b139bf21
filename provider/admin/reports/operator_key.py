# SPDX-License-Identifier: Apache-2.0
"""The key that pays gas: its address and coin, what it has under way, and whether the owner named it."""

from typing import Literal

from trustedpods.contracts.eip712 import address_of
from trustedpods.protocol.errors import TrustedPodsError
from trustedpods.protocol.ids import Address
from trustedpods.provider.admin.views import AdminRequest, View
from trustedpods.provider.doors import Doors
from trustedpods.provider.store import claims
from trustedpods.provider.store.database import Tx
from trustedpods.provider.store.operator.transactions import names_of_unfinished


class OperatorKeyRequest(AdminRequest):
    """How does the operator's key stand?"""

    verb: Literal["operator-key"] = "operator-key"


class OperatorKeyView(View):
    """The running daemon's operator key; nothing of it is secret.

    `balance` is in wei, as text. `unfinished` transactions are written down and not known to be final (at
    most so many), `claims_out` are claims under way. `named`: the owner let it act in both contracts. What
    the chain did not say is None, and `trouble` says why.
    """

    address: str
    balance: str | None
    named: bool | None
    unfinished: int
    claims_out: int
    trouble: str | None


async def read_operator_key(doors: Doors) -> OperatorKeyView:
    """The answer; StoreFailure without books."""
    address = address_of(doors.operator_key)
    unfinished, out = await doors.store.read(_under_way, doors.config.market.chain_id, address)
    balance, named, trouble = None, None, None
    try:
        balance = str(await doors.chain.gas_balance(address))
        named = await doors.chain.is_operator(doors.owner, address)
    except TrustedPodsError as error:
        trouble = error.what
    return OperatorKeyView(
        address=address,
        balance=balance,
        named=named,
        unfinished=unfinished,
        claims_out=out,
        trouble=trouble,
    )


def _under_way(tx: Tx, chain_id: int, address: Address) -> tuple[int, int]:
    """A transaction is a piece of its own beside its key's list; their names hold the key's address."""
    names = names_of_unfinished(tx, f"{chain_id}-")
    return sum(f"-{address}-" in name for name in names), claims.count_open(tx)
