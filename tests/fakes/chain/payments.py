# SPDX-License-Identifier: Apache-2.0
"""The payment contract in memory: its rules, and its arithmetic by the twin in plain numbers."""

from dataclasses import replace

from tests.fakes.chain.state import ChainState, Life, require
from trustedpods.contracts.eip712 import Domain, move_signer, usage_signer
from trustedpods.contracts.records import (
    NEVER,
    Channel,
    ChannelEvents,
    ClosedInfo,
    OpenedChannel,
    OperatorRights,
    OwnerTotals,
    Submission,
    meter_tag,
)
from trustedpods.contracts.settlement import settle
from trustedpods.contracts.usage import ItemFlags, SubmissionResult
from trustedpods.protocol.errors import LocalProtocolError
from trustedpods.protocol.ids import PodRef


class FakePayments(ChainState):
    async def channels(self, owner, ids):
        self._reach()
        found = [self.lives.get((owner, one)) for one in ids]
        return [life.channel if life and life.closed is None else None for life in found]

    async def channel(self, owner, channel):
        (found,) = await self.channels(owner, [channel])
        return found

    async def owed(self, who):
        self._reach()
        return self.credit.get(who, 0)

    async def owner_totals(self, owner):
        self._reach()
        own = [one for (who, _), sent in self.roots.items() if who == owner for one in sent]
        paid = [sum(result.paid for result in one.results) for one in own]
        withdrawn = self.withdrawn.get(owner, 0)
        return OwnerTotals(sum(paid) + self.moved.get(owner, 0), withdrawn, sum(map(bool, paid)))

    async def fee(self, tx_hash):
        self._reach()
        return self.fees.get(tx_hash)

    async def payout(self, who):
        self._reach()
        return self.payouts.get(who, who)

    async def channel_events(self, owner, channel):
        self._reach()
        life = self.lives.get((owner, channel))
        if life is None:
            return ChannelEvents(None, 0, None, None)
        return ChannelEvents(life.opened, life.topped_up, life.open_tx, life.closed, life.opened_at)

    async def meters(self, owner, channel):
        return list(self.lives[owner, channel].meters)

    async def closed(self, owner, channel):
        return (await self.channel_events(owner, channel)).closed

    async def submissions(self, owner, root):
        found = await self.submitted(owner, root)
        return found[0].tx_hash if found else None

    async def submitted(self, owner, root):
        self._reach()
        return list(self.roots.get((owner, root), ()))

    async def opened_by(self, publisher):
        self._reach()
        return [
            OpenedChannel(owner, one, life.channel.terms, life.opened, life.open_tx, 1)
            for (owner, one), life in self.lives.items()
            if life.publisher == publisher
        ]

    async def salt_of(self, publisher, opened):
        self._reach()
        life = self.lives[opened.owner, opened.channel]
        return life.salt if life.publisher == publisher else None

    # ---- the publisher ----

    async def open_with_permit(self, key, ref, meter, terms, amount):
        publisher = self._sender(key)
        if publisher != ref.publisher:
            raise LocalProtocolError("this key is not the publisher's")
        self._require_balance(publisher, amount)
        life = self.lives.get((ref.owner, ref.channel))
        require(life is None or life.closed is not None, "Live")
        require(amount > 0, "BadAmount")
        require(meter != ref.owner and terms.cap_mantissa > 0, "BadTerms")
        self.tokens[publisher] -= amount
        receipt = self._mined("open", ref.channel)
        channel = Channel(ref.channel, meter_tag(meter), self.now, amount, terms)
        life = self.lives[ref.owner, ref.channel] = Life(
            channel, publisher, amount, receipt.tx_hash, self.now
        )
        life.meters.append(meter)
        life.salt = ref.salt
        return receipt

    async def earlier_top_up(self, key, owner, channel, amount):
        self._reach()
        return self.unheard.pop((owner, channel, amount), None)

    async def top_up(self, key, owner, channel, amount):
        sender = self._sender(key)
        self._require_balance(sender, amount)
        life = self._live(owner, channel)
        self.tokens[sender] -= amount
        life.channel = replace(life.channel, left=life.channel.left + amount)
        life.topped_up += amount
        return self._mined("top_up", channel)

    async def unlock(self, key, owner, salt):
        life = self._mine(key, owner, salt)
        require(life.channel.unlock_at == 0, "Locked")
        life.channel = replace(life.channel, unlock_at=self.now + life.channel.terms.unlock_s)
        return self._mined("unlock", life.channel.id)

    async def cancel_unlock(self, key, owner, salt):
        life = self._mine(key, owner, salt)
        life.channel = replace(life.channel, unlock_at=NEVER)
        return self._mined("cancel_unlock", life.channel.id)

    async def close(self, key, owner, salt):
        life = self._mine(key, owner, salt)
        require(0 < life.channel.unlock_at <= self.now, "Locked")
        return self._end(life, self._mined("close", life.channel.id))

    async def raise_cap(self, key, owner, salt, mantissa, exponent):
        life = self._mine(key, owner, salt)
        raised = replace(life.channel.terms, cap_mantissa=mantissa, cap_exponent=exponent)
        require(raised.cap_per_day > life.channel.terms.cap_per_day, "BadTerms")
        life.channel = replace(life.channel, terms=raised)
        return self._mined("raise_cap", life.channel.id)

    async def move(self, key, owner, salt, old_meter, new_meter):
        life = self._mine(key, owner, salt)
        require(0 < life.channel.unlock_at <= self.now, "Locked")
        require(life.channel.meter_tag == meter_tag(old_meter), "Denied")
        tag = meter_tag(new_meter)
        require(life.channel.meter_tag != tag, "Denied")
        life.channel = replace(life.channel, meter_tag=tag, unlock_at=NEVER, up_to=self.now)
        return self._mined("move", life.channel.id)

    # ---- the provider ----

    async def submit_usage_for(self, key, owner, signed):
        self._sender(key)
        if signed.claim.owner != owner:
            raise LocalProtocolError("this claim is for another owner")
        tag = meter_tag(self._signer(signed))
        results = [self._settle(owner, item, tag) for item in signed.claim.items]
        self.credit[owner] = self.credit.get(owner, 0) + sum(result.paid for result in results)
        receipt = self._mined("submit", signed.claim.root)
        for place, item in enumerate(signed.claim.items):
            if item.release:
                results[place] = self._release(owner, item, results[place], receipt)
        mined = Submission(receipt.tx_hash, receipt.block, tuple(results))
        self.roots.setdefault((owner, signed.claim.root), []).append(mined)
        return receipt, results

    async def release(self, key, refs):
        owner = self._sender(key)
        lives = [self._live(owner, ref.channel) for ref in refs]
        receipt = self._mined("release", owner)
        refunds = [self._end(life, receipt).moved for life in lives]
        return replace(receipt, moved=sum(refunds))

    async def rotate(self, key, owner, old_meter, new_meter, moves):
        sender = self._sender(key)
        require(sender in (owner, old_meter) or (owner, sender) in self.operators, "Denied")
        require(meter_tag(old_meter) != meter_tag(new_meter), "BadTerms")
        results = [self._rotate(owner, old_meter, new_meter, *move) for move in moves]
        paid = sum(result.paid for result in results)
        self.credit[owner] = self.credit.get(owner, 0) + paid
        self.moved[owner] = self.moved.get(owner, 0) + paid
        return self._mined("rotate", owner), results

    async def withdraw(self, key, who):
        self._sender(key)
        amount = self.credit.get(who, 0)
        require(amount > 0, "BadAmount")
        target = self.payouts.get(who, who)
        self.credit[who] = 0
        self.withdrawn[who] = self.withdrawn.get(who, 0) + amount
        self.tokens[target] = self.tokens.get(target, 0) + amount
        return replace(self._mined("withdraw", who), moved=amount)

    async def set_payout(self, key, to):
        self.payouts[self._sender(key)] = to
        return self._mined("set_payout", to)

    async def is_operator(self, owner, operator):
        self._reach()
        return (owner, operator) in self.operators

    async def operator_rights(self, owner, operator):
        """Both contracts say the same here, but of those in `half_named`, whom the registry alone knows."""
        named = await self.is_operator(owner, operator)
        return OperatorRights(named or operator in self.half_named, named)

    async def set_operator(self, key, operator, allowed=True):
        place = (self._sender(key), operator)
        if (place in self.operators) == allowed:
            return None
        (self.operators.add if allowed else self.operators.discard)(place)
        return self._mined("set_operator", operator)

    # ---- inside ----

    def _live(self, owner, channel):
        life = self.lives.get((owner, channel))
        require(life is not None and life.closed is None, "Unknown")
        return life

    def _mine(self, key, owner, salt):
        return self._live(owner, PodRef(owner, self._sender(key), salt).channel)

    @property
    def _domain(self):
        return Domain.of_payments(self.market.chain_id, self.market.payments)

    def _signer(self, signed):
        signer = usage_signer(self._domain, signed.claim, signed.signature)
        require(signer is not None, "ECDSAInvalidSignature")
        return signer

    def _rotate(self, owner, old_meter, new_meter, publisher, move, signature):
        channel = PodRef(owner, publisher, move.salt).channel
        life = self._live(owner, channel)
        at, pay, flags = life.channel.up_to, min(move.pay, life.channel.left), ItemFlags(0)
        if life.channel.meter_tag != meter_tag(old_meter):
            flags = ItemFlags.FOREIGN
        elif at >= move.as_of or (
            (move.from_ or move.up_to or move.pay) and (move.from_ != at or move.up_to <= at)
        ):
            flags = ItemFlags.STALE
        elif move.up_to > self.now:
            flags = ItemFlags.FUTURE
        elif self.now > move.deadline or move_signer(self._domain, move, signature) != publisher:
            flags = ItemFlags.BAD_REF
        elif move.whole and move.pay > life.channel.left:
            flags = ItemFlags.DRY | ItemFlags.CUT_DEPOSIT
        if flags:
            return SubmissionResult(channel % 2**128, flags, at, 0)
        tag, left = meter_tag(new_meter), life.channel.left - pay
        life.channel = replace(life.channel, meter_tag=tag, up_to=move.up_to or at, left=left)
        life.meters.append(new_meter)
        flags = ItemFlags.CUT_DEPOSIT if pay < move.pay else flags
        return SubmissionResult(channel % 2**128, flags, life.channel.up_to, pay)

    def _settle(self, owner, item, tag):
        life = self.lives.get((owner, item.channel))
        channel = life.channel if life and life.closed is None else None
        settlement = settle(channel, item, tag, self.now)
        if life:
            life.channel = settlement.channel or life.channel
        return settlement.result

    def _release(self, owner, item, result, receipt) -> SubmissionResult:
        if result.flags & (ItemFlags.FUTURE | ItemFlags.STALE | ItemFlags.FOREIGN):
            return result
        self._end(self._live(owner, item.channel), receipt)
        return replace(result, flags=result.flags | ItemFlags.RELEASED)

    def _end(self, life, receipt):
        refund = life.channel.left
        self.tokens[life.publisher] = self.tokens.get(life.publisher, 0) + refund
        life.closed = ClosedInfo(refund, True, receipt.tx_hash, receipt.block)
        return replace(receipt, moved=refund)
