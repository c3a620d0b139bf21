# SPDX-License-Identifier: Apache-2.0
"""Channels: opening, funding, claiming, leaving."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import trio
from web3.contract.contract import ContractFunction

from trustedpods.contracts.client.views import PaymentViews
from trustedpods.contracts.records import Receipt
from trustedpods.contracts.terms import Terms
from trustedpods.contracts.typed import VRS, Domain, Move, Permit, address_of, sign_permit
from trustedpods.contracts.usage import SignedClaim, SubmissionResult, UsageClaim
from trustedpods.protocol.errors import InsufficientFunds, LocalProtocolError
from trustedpods.protocol.ids import Address, ChannelId, PodRef
from trustedpods.protocol.units import TokenUnits, UnixSeconds

PERMIT_LIFETIME_S = 3600
_PERMIT_ATTEMPTS = 3

_PermitArguments: TypeAlias = tuple[int, int, int, bytes, bytes]

_permit_locks: dict[tuple[int, Address, Address], trio.Lock] = {}


class PaymentActions(PaymentViews):
    """Everything that the payment contract can do."""

    # ---- the publisher ----

    async def open_with_permit(
        self, key: bytes, ref: PodRef, meter: Address, terms: Terms, amount: int
    ) -> Receipt:
        """Open and fund a channel in one transaction.

        Raises `Refused` with rule "Live" when it is open already: look at it and top it up.
        """
        _require_sender(key, ref.publisher, "the publisher")
        order = (ref.owner, meter, ref.salt, terms.pack(), amount)
        return await self._with_permit(
            key, amount, lambda args: self._payments.functions.openWithPermit(order, *args)
        )

    async def top_up(self, key: bytes, owner: Address, channel: ChannelId, amount: int) -> Receipt:
        """Add to a channel's deposit from the key's own money; anybody may."""
        return await self._with_permit(
            key,
            amount,
            lambda args: self._payments.functions.topUpWithPermit(owner, channel, amount, *args),
        )

    async def raise_cap(
        self, key: bytes, owner: Address, salt: bytes, mantissa: int, exponent: int
    ) -> Receipt:
        """Raise the rate cap of the key's channel; a lower one is refused."""
        return await self._do(key, self._payments.functions.raiseCap(owner, salt, mantissa, exponent))

    async def unlock(self, key: bytes, owner: Address, salt: bytes) -> Receipt:
        """Give notice on the key's channel; "Locked" when it runs already."""
        return await self._do(key, self._payments.functions.unlock(owner, salt))

    async def cancel_unlock(self, key: bytes, owner: Address, salt: bytes) -> Receipt:
        """Take the notice back."""
        return await self._do(key, self._payments.functions.cancelUnlock(owner, salt))

    async def close(self, key: bytes, owner: Address, salt: bytes) -> Receipt:
        """End the key's channel after its notice; `moved` is the refund. "Locked" before it."""
        return await self._refunding(key, self._payments.functions.close(owner, salt))

    async def move(
        self, key: bytes, owner: Address, salt: bytes, old_meter: Address, new_meter: Address
    ) -> Receipt:
        """Move the key's channel to another meter after the notice, without the provider."""
        return await self._do(key, self._payments.functions.move(owner, salt, old_meter, new_meter))

    # ---- the provider ----

    async def submit_usage_for(
        self, key: bytes, owner: Address, signed: SignedClaim
    ) -> tuple[Receipt, list[SubmissionResult]]:
        """Send what a meter signed; *key* only pays the gas. One result an item, in order."""
        if signed.claim.owner != owner:
            raise LocalProtocolError("this claim is for another owner")
        function = self._payments.functions.submitUsageFor(*_batch(signed.claim), signed.signature)
        return await self._results(key, function, "UsageSubmitted")

    async def submit_usage(self, key: bytes, claim: UsageClaim) -> tuple[Receipt, list[SubmissionResult]]:
        """Send a batch by the meter itself, which pays the gas."""
        return await self._results(
            key, self._payments.functions.submitUsage(*_batch(claim)), "UsageSubmitted"
        )

    async def rotate(
        self,
        key: bytes,
        owner: Address,
        old_meter: Address,
        new_meter: Address,
        moves: Sequence[tuple[Address, Move, bytes]],
    ) -> tuple[Receipt, list[SubmissionResult]]:
        """Hand in moves (publisher, move, its signature) as the owner, an operator or the old meter."""
        packed = [(publisher, move.salt, move.plan, signature) for publisher, move, signature in moves]
        function = self._payments.functions.rotate(owner, old_meter, new_meter, packed)
        return await self._results(key, function, "Rotated")

    async def release(self, key: bytes, refs: Sequence[PodRef]) -> Receipt:
        """End channels of the key's own at once; `moved` is the sum of the refunds."""
        pairs = [(ref.publisher, ref.salt) for ref in refs]
        return await self._refunding(key, self._payments.functions.release(pairs))

    async def set_payout(self, key: bytes, to: Address) -> Receipt:
        """Set where the key's credit is paid."""
        return await self._do(key, self._payments.functions.setPayout(to))

    # ---- anybody ----

    async def withdraw(self, key: bytes, who: Address) -> Receipt:
        """Pay out what *who* is owed; `moved` is the amount. "BadAmount" when it is nothing."""
        receipt, raw = await self._transact(key, self._payments.functions.withdraw(who))
        paid = sum(event["amount"] for event in self._logged(self._payments, "Withdrawn", raw))
        return Receipt(receipt.tx_hash, receipt.gas_used, receipt.block, TokenUnits(paid))

    # ---- inside ----

    async def _refunding(self, key: bytes, function: ContractFunction) -> Receipt:
        receipt, raw = await self._transact(key, function)
        refunds = sum(event["refunded"] for event in self._logged(self._payments, "Closed", raw))
        return Receipt(receipt.tx_hash, receipt.gas_used, receipt.block, TokenUnits(refunds))

    async def _results(
        self, key: bytes, function: ContractFunction, event: str
    ) -> tuple[Receipt, list[SubmissionResult]]:
        receipt, raw = await self._transact(key, function)
        words = [word for entry in self._logged(self._payments, event, raw) for word in entry["results"]]
        return receipt, [SubmissionResult.from_word(word) for word in words]

    async def _with_permit(
        self, key: bytes, amount: int, function: Callable[[_PermitArguments], ContractFunction]
    ) -> Receipt:
        """Send *function* of (value, deadline, v, r, s); permits of one holder go one at a time."""
        holder = address_of(key)
        balance = await self._call(self._token.functions.balanceOf(holder))
        if balance < amount:
            raise InsufficientFunds(
                f"{holder} holds {balance} base units of the token, {amount} are needed",
                rule="ERC20InsufficientBalance",
            )
        place = (self.market.chain_id, self.market.token, holder)
        async with _permit_locks.setdefault(place, trio.Lock()):
            for attempt in range(_PERMIT_ATTEMPTS):
                deadline, permit = await self._permit(key, holder, amount)
                arguments = (amount, deadline, permit.v, permit.r, permit.s)
                try:
                    return await self._do(key, function(arguments))
                except InsufficientFunds as error:
                    # another process of this holder used the same permit nonce first
                    if error.rule != "ERC20InsufficientAllowance" or attempt == _PERMIT_ATTEMPTS - 1:
                        raise
        raise AssertionError("the loop returns or raises")

    async def _permit(self, key: bytes, holder: Address, amount: int) -> tuple[int, VRS]:
        nonce = await self._call(self._token.functions.nonces(holder))
        _, name, version, *_ = await self._call(self._token.functions.eip712Domain())
        deadline = UnixSeconds((await self.head()).time + PERMIT_LIFETIME_S)
        permit = Permit(holder, self.market.payments, TokenUnits(amount), nonce, deadline)
        domain = Domain(name, version, self.market.chain_id, self.market.token)
        return deadline, await self._node.read(sign_permit, key, domain, permit)


def _require_sender(key: bytes, expected: Address, who: str) -> None:
    if address_of(key) != expected:
        raise LocalProtocolError(f"this key is not {who}'s, {expected}")


def _batch(claim: UsageClaim) -> tuple[Address, bytes, list[int], list[tuple[Address, bytes]]]:
    return claim.owner, claim.root, claim.words, [(ref.publisher, ref.salt) for ref in claim.refs]
