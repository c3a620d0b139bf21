# SPDX-License-Identifier: Apache-2.0
"""How the payment contract comes to its money: a signed permit, or an allowance where there is none."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from trustedpods.contracts.client.rpc.contract import ContractCall
from trustedpods.contracts.client.signers.signer import SigningKey, address_with, signer_with
from trustedpods.contracts.client.transactions.permit_lock import PermitLock
from trustedpods.contracts.client.views import PaymentViews
from trustedpods.contracts.eip712 import Domain, Permit, domain_separator, parts_of, permit_data
from trustedpods.contracts.records import Receipt
from trustedpods.protocol.errors import InsufficientFunds, Refused
from trustedpods.protocol.ids import Address
from trustedpods.protocol.units import TokenUnits, UnixSeconds

PERMIT_LIFETIME_S = 3600
"""A transaction that a reorganisation threw out goes in again with the same permit: it must still hold."""

_PERMIT_ATTEMPTS = 3
_USUAL_VERSION = "1"

PermitArguments: TypeAlias = tuple[int, int, int, bytes, bytes]


@dataclass(frozen=True, slots=True)
class TokenPayment:
    """A deed that moves tokens in: `deed` names it, `amount` is what it takes.

    `permitted` is the contract's function with a permit (None where it has none), `plain` the one
    that uses the standing allowance.
    """

    deed: tuple[object, ...]
    amount: int
    permitted: Callable[[PermitArguments], ContractCall] | None
    plain: ContractCall


class Allowances(PaymentViews):
    """Paying in, whatever the token can do."""

    async def allowance(self, holder: Address) -> TokenUnits:
        """What the payment contract may take of *holder*'s tokens by standing allowance."""
        allowed = await self._call(self._token.functions.allowance(holder, self.market.payments))
        return TokenUnits(allowed)

    async def approve(self, key: SigningKey, amount: int) -> Receipt:
        """Set the standing allowance of the key's tokens; first to zero, as some tokens insist on."""
        holder = address_with(key)
        if amount and await self.allowance(holder):
            await self._do(key, self._token.functions.approve(self.market.payments, 0))
        return await self._do(key, self._token.functions.approve(self.market.payments, amount))

    async def _pay(self, key: SigningKey, payment: TokenPayment) -> Receipt:
        """Do it once: an earlier attempt that is still under way is met, not repeated."""
        intent = self._intent(*payment.deed)
        before = await self._sender.adopted(key, intent)
        if before is not None:
            return before[0]
        holder = address_with(key)
        await self._require_balance(holder, payment.amount)
        domain = await self._permit_domain(holder) if payment.permitted else None
        async with self._sender.permit_turn(key) as turn:
            if domain is None:
                return await self._by_allowance(key, payment, intent)
            return await self._by_permit(key, payment, domain, intent, turn)

    async def _require_balance(self, holder: Address, amount: int) -> None:
        balance = await self._call(self._token.functions.balanceOf(holder))
        if balance < amount:
            raise InsufficientFunds(
                f"{holder} holds {balance} base units of the token, {amount} are needed",
                rule="ERC20InsufficientBalance",
            )

    async def _by_allowance(self, key: SigningKey, payment: TokenPayment, intent: bytes) -> Receipt:
        """Two transactions; the allowance stands until the second, and is used up by it."""
        if await self.allowance(address_with(key)) < payment.amount:
            await self.approve(key, payment.amount)
        return await self._do(key, payment.plain, intent)

    async def _by_permit(
        self, key: SigningKey, payment: TokenPayment, domain: Domain, intent: bytes, turn: PermitLock
    ) -> Receipt:
        assert payment.permitted is not None
        holder = address_with(key)
        for attempt in range(_PERMIT_ATTEMPTS):
            nonce = await self._call(self._token.functions.nonces(holder))
            deadline = UnixSeconds((await self.head()).time + PERMIT_LIFETIME_S)
            permit = Permit(holder, self.market.payments, TokenUnits(payment.amount), nonce, deadline)
            signature = await self._node.write(signer_with(key).sign_typed_data, permit_data(domain, permit))
            signed = parts_of(signature)
            arguments = (payment.amount, deadline, signed.v, signed.r, signed.s)
            try:
                return await self._do(key, payment.permitted(arguments), intent, mined=turn.give_up)
            except InsufficientFunds as error:
                # the holder's key on another machine used the same permit nonce first
                if error.rule != "ERC20InsufficientAllowance" or attempt == _PERMIT_ATTEMPTS - 1:
                    raise
        raise AssertionError("the loop returns or raises")

    async def _permit_domain(self, holder: Address) -> Domain | None:
        """The domain of the token's permits; None when it has none that can be signed for."""
        try:
            await self._call(self._token.functions.nonces(holder))
            separator = bytes(await self._call(self._token.functions.DOMAIN_SEPARATOR()))
        except Refused:
            return None
        for domain in await self._domains_told():
            if domain_separator(domain) == separator:
                return domain
        return None

    async def _domains_told(self) -> list[Domain]:
        """What the token says of itself by ERC-5267, or else by its name and the usual version."""
        functions, place = self._token.functions, (self.market.chain_id, self.market.token)
        try:
            _, name, version, *_ = await self._call(functions.eip712Domain())
        except Refused:
            name = await self._call(functions.name())
            return [Domain(name, version, *place) for version in (_USUAL_VERSION, "2")]
        return [Domain(name, version, *place)]
