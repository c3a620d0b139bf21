# SPDX-License-Identifier: Apache-2.0
"""Channels: opening, funding, claiming, leaving."""

from collections.abc import Sequence
from dataclasses import dataclass

from trustedpods.contracts.client.allowances import Allowances, TokenPayment
from trustedpods.contracts.client.rpc.contract import ContractCall
from trustedpods.contracts.client.signers.signer import SigningKey, address_with
from trustedpods.contracts.eip712 import Move, Voucher
from trustedpods.contracts.records import Receipt
from trustedpods.contracts.terms import Terms
from trustedpods.contracts.usage import SignedClaim, SubmissionResult, UsageClaim
from trustedpods.protocol.errors import LocalProtocolError
from trustedpods.protocol.ids import Address, ChannelId, PodRef
from trustedpods.protocol.units import TokenUnits

BATCH_GAS, ITEM_GAS, RELEASE_GAS, VOUCHER_GAS, MOVE_GAS = 80_000, 12_000, 60_000, 20_000, 24_000
"""What a batch is given at least, in all and for each item (docs/benchmarks.md says what they use).

An item that a lagging node skips in its estimate, as its period ends in the future there, is paid
where the batch is mined, and that takes more gas. A contract wallet that signs a voucher or a
move is given 60,000 to check it, and the contract refuses the batch as a whole where they are not
there: so a node's estimate finds them.
"""


@dataclass(frozen=True, slots=True)
class Order:
    """A channel to open; the publisher is whoever's key opens it."""

    owner: Address
    meter: Address
    salt: bytes
    terms: Terms
    amount: TokenUnits

    def words(self) -> tuple[Address, Address, bytes, int, int]:
        """As the contract takes it."""
        return self.owner, self.meter, self.salt, self.terms.pack(), self.amount


class PaymentActions(Allowances):
    """Everything that the payment contract can do."""

    # ---- the publisher ----

    async def open_with_permit(
        self, key: SigningKey, ref: PodRef, meter: Address, terms: Terms, amount: int
    ) -> Receipt:
        """Open and fund a channel in one transaction; in two where the token knows no permits.

        Raises `Refused` with rule "Live" when it is open already: look at it and top it up.
        """
        _require_sender(key, ref.publisher, "the publisher")
        order = Order(ref.owner, meter, ref.salt, terms, TokenUnits(amount)).words()
        functions = self._payments.functions
        return await self._pay(
            key,
            TokenPayment(
                ("open", *order),
                amount,
                lambda permit: functions.openWithPermit(order, *permit),
                functions.open(order),
            ),
        )

    async def open_channel(self, key: SigningKey, order: Order) -> Receipt:
        """Open and fund a channel from the standing allowance of the key's tokens; see `approve`."""
        deed = ("open", *order.words())
        return await self._pay(
            key, TokenPayment(deed, order.amount, None, self._payments.functions.open(order.words()))
        )

    async def open_many(self, key: SigningKey, orders: Sequence[Order]) -> Receipt:
        """Open and fund several channels with one transfer; all of them or none ("Live").

        The allowance is set first where it does not cover the sum.
        """
        words = [order.words() for order in orders]
        total = sum(order.amount for order in orders)
        plain = self._payments.functions.openMany(words)
        return await self._pay(key, TokenPayment(("openMany", *words), total, None, plain))

    async def earlier_top_up(
        self, key: SigningKey, owner: Address, channel: ChannelId, amount: int
    ) -> Receipt | None:
        """The same `top_up` from a run that did not hear its end, which is waited for; None where none is."""
        found = await self._sender.adopted(key, self._intent("topUp", owner, channel, amount))
        return None if found is None else found[0]

    async def top_up(self, key: SigningKey, owner: Address, channel: ChannelId, amount: int) -> Receipt:
        """Add to a channel's deposit from the key's own money; anybody may."""
        arguments, functions = (owner, channel, amount), self._payments.functions
        return await self._pay(
            key,
            TokenPayment(
                ("topUp", *arguments),
                amount,
                lambda permit: functions.topUpWithPermit(*arguments, *permit),
                functions.topUp(*arguments),
            ),
        )

    async def raise_cap(
        self, key: SigningKey, owner: Address, salt: bytes, mantissa: int, exponent: int
    ) -> Receipt:
        """Raise the rate cap of the key's channel; a lower one is refused."""
        return await self._do(key, self._payments.functions.raiseCap(owner, salt, mantissa, exponent))

    async def unlock(self, key: SigningKey, owner: Address, salt: bytes) -> Receipt:
        """Give notice on the key's channel; "Locked" when it runs already."""
        return await self._do(key, self._payments.functions.unlock(owner, salt))

    async def cancel_unlock(self, key: SigningKey, owner: Address, salt: bytes) -> Receipt:
        """Take the notice back."""
        return await self._do(key, self._payments.functions.cancelUnlock(owner, salt))

    async def close(self, key: SigningKey, owner: Address, salt: bytes) -> Receipt:
        """End the key's channel after its notice; `moved` is the refund. "Locked" before it."""
        return await self._refunding(key, self._payments.functions.close(owner, salt))

    async def move(
        self, key: SigningKey, owner: Address, salt: bytes, old_meter: Address, new_meter: Address
    ) -> Receipt:
        """Move the key's channel to another meter after the notice, without the provider."""
        return await self._do(key, self._payments.functions.move(owner, salt, old_meter, new_meter))

    # ---- the provider ----

    async def submit_usage_for(
        self, key: SigningKey, owner: Address, signed: SignedClaim
    ) -> tuple[Receipt, list[SubmissionResult]]:
        """Send what a meter signed; *key* only pays the gas. One result an item, in order."""
        if signed.claim.owner != owner:
            raise LocalProtocolError("this claim is for another owner")
        function = self._payments.functions.submitUsageFor(*_batch(signed.claim), signed.signature)
        return await self._results(key, function, "UsageSubmitted", _gas_of(signed.claim))

    async def submit_usage(
        self, key: SigningKey, claim: UsageClaim
    ) -> tuple[Receipt, list[SubmissionResult]]:
        """Send a batch by the meter itself, which pays the gas."""
        function = self._payments.functions.submitUsage(*_batch(claim))
        return await self._results(key, function, "UsageSubmitted", _gas_of(claim))

    async def redeem(
        self,
        key: SigningKey,
        owner: Address,
        signed: SignedClaim,
        vouchers: Sequence[tuple[Voucher, Address, bytes]],
    ) -> tuple[Receipt, list[SubmissionResult]]:
        """Send what a meter signed with vouchers (each with its publisher and signature) that lift caps.

        One voucher for each item that asks for one, in order. An item whose voucher does not hold
        is skipped (STALE and BAD_REF), never cut.
        """
        if signed.claim.owner != owner:
            raise LocalProtocolError("this claim is for another owner")
        if len(vouchers) != sum(item.voucher for item in signed.claim.items):
            raise LocalProtocolError("a claim needs one voucher for each item that asks for one")
        packed = [(publisher, one.salt, one.most, signature) for one, publisher, signature in vouchers]
        function = self._payments.functions.redeem(*_batch(signed.claim), packed, signed.signature)
        return await self._results(key, function, "UsageSubmitted", _gas_of(signed.claim))

    async def rotate(
        self,
        key: SigningKey,
        owner: Address,
        old_meter: Address,
        new_meter: Address,
        moves: Sequence[tuple[Address, Move, bytes]],
    ) -> tuple[Receipt, list[SubmissionResult]]:
        """Hand in moves (publisher, move, its signature) as the owner, an operator or the old meter."""
        packed = [(publisher, move.salt, move.plan, signature) for publisher, move, signature in moves]
        function = self._payments.functions.rotate(owner, old_meter, new_meter, packed)
        return await self._results(key, function, "Rotated", BATCH_GAS + len(packed) * MOVE_GAS)

    async def release(self, key: SigningKey, refs: Sequence[PodRef]) -> Receipt:
        """End channels of the key's own at once; `moved` is the sum of the refunds."""
        pairs = [(ref.publisher, ref.salt) for ref in refs]
        return await self._refunding(key, self._payments.functions.release(pairs))

    async def set_payout(self, key: SigningKey, to: Address) -> Receipt:
        """Set where the key's credit is paid."""
        return await self._do(key, self._payments.functions.setPayout(to))

    # ---- anybody ----

    async def withdraw(self, key: SigningKey, who: Address) -> Receipt:
        """Pay out what *who* is owed; `moved` is the amount. "BadAmount" when it is nothing."""
        receipt, mined = await self._transact(key, self._payments.functions.withdraw(who))
        paid = sum(event.args["amount"] for event in self._payments.events("Withdrawn", mined.logs))
        return Receipt(receipt.tx_hash, receipt.gas_used, receipt.block, TokenUnits(paid))

    # ---- inside ----

    async def _refunding(self, key: SigningKey, function: ContractCall) -> Receipt:
        receipt, mined = await self._transact(key, function)
        refunds = sum(event.args["refunded"] for event in self._payments.events("Closed", mined.logs))
        return Receipt(receipt.tx_hash, receipt.gas_used, receipt.block, TokenUnits(refunds))

    async def _results(
        self, key: SigningKey, function: ContractCall, event: str, least_gas: int
    ) -> tuple[Receipt, list[SubmissionResult]]:
        receipt, mined = await self._transact(key, function, least_gas=least_gas)
        words = [word for one in self._payments.events(event, mined.logs) for word in one.args["results"]]
        return receipt, [SubmissionResult.from_word(word) for word in words]


def _require_sender(key: SigningKey, expected: Address, who: str) -> None:
    if address_with(key) != expected:
        raise LocalProtocolError(f"this key is not {who}'s, {expected}")


def _gas_of(claim: UsageClaim) -> int:
    extra = sum(RELEASE_GAS * item.release + VOUCHER_GAS * item.voucher for item in claim.items)
    return BATCH_GAS + ITEM_GAS * len(claim.items) + extra


def _batch(claim: UsageClaim) -> tuple[Address, bytes, list[int], list[tuple[Address, bytes]]]:
    return claim.owner, claim.root, claim.words, [(ref.publisher, ref.salt) for ref in claim.refs]
