# SPDX-License-Identifier: Apache-2.0
"""What the publisher's address lacks for a deposit, brought by a payer: a signer's account, or a Safe.

Both pay by a plain transfer to the address that opens the channel. It has the rights in the deposit anyway (a
refund goes to who opened the channel), and a transfer is what every device shows in words, and what can be
met again: a run that ends before the money is there only has to be run again.
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import trio

from trustedpods.contracts.client.signers.external import ANSWERED_WITHIN_S, ExternalSigner
from trustedpods.contracts.client.signers.wire import SignerWire
from trustedpods.protocol.errors import BadInput, InsufficientFunds, NoContext, TrustedPodsError
from trustedpods.protocol.units import TokenUnits
from trustedpods.publisher.context import state_dir
from trustedpods.publisher.core.money import duration_text
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.output.json_of import as_facts
from trustedpods.publisher.output.json_parts import transaction_json
from trustedpods.publisher.parallel import open_nursery
from trustedpods.publisher.payers.payer import Payer, SafePayer, SignerPayer
from trustedpods.publisher.payers.safe_batch import SafeCall, batch_file
from trustedpods.publisher.payment.channel import LackingFunds
from trustedpods.publisher.results.money import MinedTransaction, WithdrawResult
from trustedpods.publisher.state.files import write_whole

OPEN_GAS = 250_000
"""Units of gas of the dearest that may follow, with a quarter more as its estimate is raised: an opening."""

LIFE_GAS = 600_000
"""Units of gas of all that a pod's key sends in the pod's life: opening, cap, some top-ups, notice, close."""

FEE_ROOM = 2
"""A price of gas doubles within minutes."""

ROUNDS = 4
"""So often one deploy asks: a price may rise, and providers differ. A node may never show what came."""

_LOOK_S = 2.0
"""Between two looks whether a Safe has paid: about a block."""


@dataclass(frozen=True, slots=True)
class _Lack:
    """What is missing: base units of the token, and wei for gas."""

    tokens: TokenUnits
    coin: int

    def __bool__(self) -> bool:
        return bool(self.tokens or self.coin)


async def cover(account: MarketAccount, amount: TokenUnits, journal: Journal) -> bool:
    """Have the payer bring what the publisher lacks to pay in *amount*; whether anything came.

    Raises `InsufficientFunds` (rule `payer`) where the payer cannot pay, or a Safe has not within the time of
    `Timing.payer_s`; `Refused` and `NetworkFailure` as the signer does. Nothing is lost then, and the same
    again meets what came meanwhile.
    """
    match account.payer:
        case None:
            return False
        case SignerPayer() as payer:
            return await _by_signer(account, payer, amount, journal)
        case SafePayer() as payer:
            return await _by_safe(account, payer, amount, journal)


class Payments:
    """What a payer is asked for by one deploy."""

    def __init__(self, account: MarketAccount, journal: Journal) -> None:
        self._account, self._journal = account, journal
        self._rounds = 0

    async def brought(self, error: TrustedPodsError) -> bool:
        """Whether what *error* says is lacking is there now, by the payer; errors as `cover`.

        It is also where it came by itself: a transfer of an earlier run, or an owner of the Safe was fast.
        """
        if not isinstance(error, LackingFunds) or self._account.payer is None or self._rounds >= ROUNDS:
            return False
        self._rounds += 1
        await cover(self._account, error.amount, self._journal)
        return True


def required_payer(account: MarketAccount) -> Payer:
    """Who brings deposits; `BadInput` where nobody is named."""
    if account.payer is None:
        raise BadInput("no payer is named", where="--to-payer", hint="name one: --payer, or in the context")
    return account.payer


async def give_back(account: MarketAccount, result: WithdrawResult, journal: Journal) -> WithdrawResult:
    """Send all tokens of the publisher's address to the payer, and say so in *result*."""
    payer, chain, address = required_payer(account), account.chain, account.publisher.address
    await _require_safe(account, payer)
    balance = await chain.token_balance(address)
    if not balance:
        return replace(result, returned=balance)
    receipt = await chain.send_tokens(account.publisher.key, payer.address, balance)
    if await chain.token_balance(address) >= balance:  # that was an earlier run's, of which nobody had heard
        receipt = await chain.send_tokens(account.publisher.key, payer.address, balance)
    transaction = MinedTransaction.of(receipt)
    text = f"{account.token.text(balance)} went back to {payer.address}"
    journal.event("given-back", text, **as_facts(transaction_json(transaction)))
    return replace(result, returned=balance, returned_by=transaction)


async def _require_safe(account: MarketAccount, payer: Payer) -> None:
    """`BadInput` for a Safe that is none on this chain: what is sent there may never be had again."""
    if isinstance(payer, SafePayer) and not await account.chain.has_code(payer.address):
        raise BadInput(
            f"there is no Safe at {payer.address} on chain {account.market.file.chain_id}",
            where="payer",
            hint="a Safe of another chain has its address there alone: name one of this chain",
        )


async def _lacking(account: MarketAccount, amount: TokenUnits) -> _Lack:
    chain, address = account.chain, account.publisher.address
    tokens = max(0, amount - await chain.token_balance(address))
    price = FEE_ROOM * max(1, await chain.gas_price())  # no coin at all is too little, even where gas is free
    coin = await chain.gas_balance(address)
    return _Lack(TokenUnits(tokens), 0 if coin >= OPEN_GAS * price else LIFE_GAS * price - coin)


async def _by_signer(
    account: MarketAccount, payer: SignerPayer, amount: TokenUnits, journal: Journal
) -> bool:
    """One transfer for the tokens, and one for coin where there is too little: each is asked for once."""
    within_s = ANSWERED_WITHIN_S if account.timing.payer_s is None else account.timing.payer_s
    signer = ExternalSigner(SignerWire(payer.place, within_s), payer.address)
    await account.chain.resume(signer, told=True)  # what an earlier run had signed comes first
    lack = await _lacking(account, amount)
    if not lack:
        return False
    held = await account.chain.token_balance(payer.address)
    if held < lack.tokens:
        raise InsufficientFunds(
            f"the payer {payer.address} has {account.token.text(held)}, {account.token.text(lack.tokens)} "
            "are needed",
            rule="payer",
            hint="send it tokens, or pay in less with --deposit",
        )
    to, chain = account.publisher.address, account.chain

    async def send() -> None:
        if lack.coin:
            _ask(journal, payer, f"{coin_text(lack.coin)} of the chain's coin, for gas", to, within_s)
            _sent(journal, "coin", MinedTransaction.of(await chain.send_gas(signer, to, lack.coin)))
        if lack.tokens:
            _ask(journal, payer, account.token.text(lack.tokens), to, within_s)
            receipt = await chain.send_tokens(signer, to, lack.tokens)
            _sent(journal, account.token.text(lack.tokens), MinedTransaction.of(receipt))

    async with (
        open_nursery() as nursery
    ):  # trio gives Ctrl-C to the main task, which must not hang in a thread
        nursery.start_soon(send)
    return True


def _ask(journal: Journal, payer: SignerPayer, what: str, to: str, within_s: float) -> None:
    text = (
        f"asking {payer.address} at {payer.place} to send {what} to {to}: confirm it there, "
        f"within {duration_text(round(within_s))}"
    )
    journal.event("payer-asked", text, payer=payer.address, to=to)


def _sent(journal: Journal, what: str, transaction: MinedTransaction) -> None:
    journal.event("payer-paid", f"the payer sent {what}", **as_facts(transaction_json(transaction)))


async def _by_safe(account: MarketAccount, payer: SafePayer, amount: TokenUnits, journal: Journal) -> bool:
    """A file with the transfers for the Safe's owners, and a look now and then whether they came."""
    lack = await _lacking(account, amount)
    if not lack:
        return False
    await _require_safe(account, payer)
    file = await trio.to_thread.run_sync(_write_batch, account, payer, lack)
    wait_s = account.timing.payer_s or 0.0
    what, asked = _told(account, lack), lack
    text = f"the Safe {payer.address} pays {what} to {account.publisher.address}: its owners execute {file}"
    journal.event("payer-asked", text, payer=payer.address, to=account.publisher.address, file=str(file))
    journal.if_interrupted = "once the Safe has paid, run the same again: it goes on from there"
    deadline = trio.current_time() + wait_s
    while lack := await _lacking(account, amount):
        left_s = deadline - trio.current_time()
        if left_s <= 0:
            if lack.tokens != asked.tokens or bool(lack.coin) != bool(asked.coin):
                # A part came, or more is needed: who executes the file must not pay all of it again.
                await trio.to_thread.run_sync(_write_batch, account, payer, lack)
            raise InsufficientFunds(
                f"the Safe {payer.address} has not paid {_told(account, lack)} yet",
                where=str(file),
                rule="payer",
                hint="execute the file in the Safe's Transaction Builder, then run the same again; "
                "--wait 2h waits for it",
            )
        await trio.sleep(min(_LOOK_S, left_s))
    journal.if_interrupted = None
    journal.event("payer-paid", f"the Safe paid {what}", payer=payer.address)
    return True


def _write_batch(account: MarketAccount, payer: SafePayer, lack: _Lack) -> Path:
    to = account.publisher.address
    calls = []
    if lack.tokens:
        calls.append(SafeCall(account.market.file.token, 0, account.chain.transfer_data(to, lack.tokens)))
    if lack.coin:
        calls.append(SafeCall(to, lack.coin))
    chain_id = account.market.file.chain_id
    what = f"{_told(account, lack)} to {to}, which pays for pods"
    file = state_dir() / "safe" / f"{chain_id}-{payer.address}-{to}.json".lower()
    data = batch_file(chain_id, payer.address, calls, what, time.time_ns() // 1_000_000)
    try:
        write_whole(file, data)
    except OSError as error:
        raise NoContext(f"cannot write it: {error.strerror}", where=str(file)) from None
    return file


def _told(account: MarketAccount, lack: _Lack) -> str:
    parts = [account.token.text(lack.tokens)] if lack.tokens else []
    if lack.coin:
        parts.append(f"{coin_text(lack.coin)} of the chain's coin, for gas")
    return " and ".join(parts)


def coin_text(wei: int) -> str:
    """An amount of the chain's own coin, in whole coins to six digits, rounded up."""
    micro = -(-wei // 10**12)
    return f"{micro // 10**6}.{micro % 10**6:06d}".rstrip("0").rstrip(".")
