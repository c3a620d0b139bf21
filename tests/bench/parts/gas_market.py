# SPDX-License-Identifier: Apache-2.0
"""The market that gas is measured in: fresh contracts on an anvil of its own, parties with keys."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from eth_account import Account
from web3 import Web3
from web3.contract import Contract
from web3.contract.contract import ContractFunction

from tests.contracts.node.anvil import Anvil, running_anvil
from tests.paths import ROOT
from trustedpods.contracts.eip712 import (
    Domain,
    Move,
    Permit,
    Voucher,
    sign_move,
    sign_permit,
    sign_usage,
    sign_voucher,
)
from trustedpods.contracts.records import Channel
from trustedpods.contracts.registry_rows import endpoint_bytes, pack_offer
from trustedpods.contracts.terms import Terms, prices_of
from trustedpods.contracts.usage import UsageClaim, UsageItem
from trustedpods.protocol.ids import Address, ChannelId, PodRef, keccak256
from trustedpods.protocol.messages.provider import LeastTerms
from trustedpods.protocol.units import TokenUnits, UnixSeconds, Usage

TOKEN = 10**18
DEPOSIT = 100 * TOKEN
HOUR_S = 3600
LATE = UnixSeconds(1 << 31)
PEER = "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"
ENDPOINT = f"/ip4/203.0.113.7/tcp/4001/p2p/{PEER}"
BLOCK_GAS = "100000000"
ABI = ROOT / "contracts" / "abi"


def key_of(name: str) -> bytes:
    """A private key that anybody can make again from a word."""
    return keccak256(f"bench {name}".encode())


@dataclass
class Market:
    """Contracts and parties; `gas` collects what was measured."""

    node: Anvil
    web3: Web3
    token: Contract
    payments: Contract
    registry: Contract
    parties: dict[str, Address]
    terms: Terms
    gas: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.pay: Any = self.payments.functions
        self.list: Any = self.registry.functions
        self.publisher, self.owner = self.parties["publisher"], self.parties["owner"]
        self.operator, self.payout = self.parties["operator"], self.parties["payout"]
        self.meter, self.next_meter = self.parties["meter"], self.parties["next meter"]
        self.domain = Domain.of_payments(self.web3.eth.chain_id, Address(self.payments.address))
        self.offer = pack_offer(self.terms.prices, LeastTerms(deposit=TOKEN, unlock_s=HOUR_S, idle_mib=64))
        self.endpoint = endpoint_bytes(ENDPOINT)

    # ---- acting ----

    def send(self, name: str | None, sender: Address, function: ContractFunction) -> None:
        """Send, wait, and note the gas under *name*, if it has one."""
        self.pass_time(1)  # no write finds the time that it wants to write
        sent = function.transact({"from": Web3.to_checksum_address(sender), "gas": 16_000_000})
        receipt = self.web3.eth.wait_for_transaction_receipt(sent, poll_latency=0.005)
        assert receipt["status"] == 1, name
        if name is not None:
            self.gas[name] = receipt["gasUsed"]

    def pass_time(self, seconds: int) -> None:
        """Let chain time pass."""
        self.node.pass_time(seconds)

    def ref(self, number: int) -> PodRef:
        """What channel *number* is made of."""
        return PodRef(self.owner, self.publisher, keccak256(f"pod {number}".encode()))

    def pair(self, number: int) -> tuple[Address, bytes]:
        """The reference as the contract takes it."""
        return self.publisher, self.ref(number).salt

    def order(self, number: int) -> tuple[Address, Address, bytes, int, int]:
        """What opens channel *number*."""
        return self.owner, self.meter, self.ref(number).salt, self.terms.pack(), DEPOSIT

    def fund(self, name: str, number: int) -> None:
        """Open channel *number* with a permit."""
        nonce = self.token.functions.nonces(self.publisher).call()
        permit = Permit(self.publisher, self.domain.contract, TokenUnits(DEPOSIT), nonce, LATE)
        _, title, version, chain, *_ = self.token.functions.eip712Domain().call()
        domain = Domain(title, version, chain, Address(self.token.address))
        signed = sign_permit(key_of("publisher"), domain, permit)
        arguments = (DEPOSIT, LATE, signed.v, signed.r, signed.s)
        self.send(name, self.publisher, self.pay.openWithPermit(self.order(number), *arguments))

    def allow_everything(self) -> None:
        """A standing allowance of the publisher's."""
        spender = Web3.to_checksum_address(self.domain.contract)
        self.send(None, self.publisher, self.token.functions.approve(spender, 2**256 - 1))

    # ---- claiming ----

    def items(self, numbers: Sequence[int], *, release: bool, voucher: bool = False) -> tuple[UsageItem, ...]:
        """A period of each channel up to now, with quantities in all five places."""
        self.pass_time(HOUR_S)
        now = UnixSeconds(self.web3.eth.get_block("latest")["timestamp"])
        ids = [self.ref(number).channel for number in numbers]
        words = self.payments.functions.status(self.owner, ids).call()
        usage = Usage(7_000_000, 1_900_000, 36_000_000, 150_000, 90_000)
        found = []
        for identity, (hot, terms) in zip(ids, words, strict=True):
            channel = Channel.from_words(ChannelId(identity), hot, terms)
            assert channel is not None
            found.append(UsageItem(channel.id, channel.up_to, now, usage, release, voucher))
        return tuple(found)

    def submit(
        self, name: str | None, numbers: Sequence[int], *, signed: bool = True, release: bool = False
    ) -> None:
        """Claim for channels, relayed by a stranger or sent by the meter itself."""
        refs = tuple(self.ref(number) for number in numbers) if release else ()
        claim = UsageClaim(self.owner, keccak256(b"report"), self.items(numbers, release=release), refs)
        batch = (claim.owner, claim.root, claim.words, [self.pair(number) for number in numbers if release])
        if not signed:
            self.send(name, self.meter, self.pay.submitUsage(*batch))
            return
        signature = sign_usage(key_of("meter"), self.domain, claim).signature
        self.send(name, self.operator, self.pay.submitUsageFor(*batch, signature))

    def redeem(self, name: str, numbers: Sequence[int]) -> None:
        """Claim with a voucher for each channel."""
        items = self.items(numbers, release=False, voucher=True)
        claim = UsageClaim(self.owner, keccak256(b"report"), items)
        vouchers = []
        for number, item in zip(numbers, items, strict=True):
            ref = self.ref(number)
            voucher = Voucher(self.owner, ref.salt, self.meter, item.from_, item.up_to, TokenUnits(TOKEN))
            signature = sign_voucher(key_of("publisher"), self.domain, voucher)
            vouchers.append((self.publisher, ref.salt, TOKEN, signature))
        signature = sign_usage(key_of("meter"), self.domain, claim).signature
        batch = (claim.owner, claim.root, claim.words, [], vouchers, signature)
        self.send(name, self.operator, self.pay.redeem(*batch))

    def withdraw(self, name: str | None) -> None:
        """Pay the owner out."""
        self.send(name, self.operator, self.pay.withdraw(self.owner))

    def rotate(self, name: str | None, numbers: Sequence[int], pay: int = 0) -> None:
        """Move channels to the next meter, by the operator's hand."""
        moves = []
        for number, item in zip(numbers, self.items(numbers, release=False), strict=True):
            period = (item.from_, item.up_to) if pay else (UnixSeconds(0), UnixSeconds(0))
            salt = self.ref(number).salt
            times = (item.up_to, LATE, *period)
            move = Move(self.owner, salt, self.meter, self.next_meter, *times, TokenUnits(pay))
            signature = sign_move(key_of("publisher"), self.domain, move)
            moves.append((self.publisher, salt, move.plan, signature))
        self.send(name, self.operator, self.pay.rotate(self.owner, self.meter, self.next_meter, moves))

    def register(self, name: str, sender: Address) -> None:
        """A full row."""
        token = self.token.address
        row = (1, 3, b"eu-west".ljust(12, b"\0"), token, self.offer, b"c" * 32, b"p" * 32, self.endpoint)
        self.send(name, sender, self.list.register(1, row))


@contextmanager
def opened_market() -> Iterator[Market]:
    """Deploys everything; ends anvil afterwards."""
    with running_anvil("--gas-limit", BLOCK_GAS) as node:
        web3 = Web3(Web3.HTTPProvider(node.url, request_kwargs={"timeout": 60}))
        names = ("publisher", "owner", "operator", "payout", "meter", "next meter")
        parties = {name: Address(Account.from_key(key_of(name)).address) for name in names}
        for address in parties.values():
            node.rpc("anvil_setBalance", address, hex(10**20))
            node.rpc("anvil_impersonateAccount", address)
        gas: dict[str, int] = {}
        deployer = parties["payout"]
        token = _deploy(web3, deployer, gas, "TestToken", "the token", "Bench", "B", 18)
        payments = _deploy(web3, deployer, gas, "PodPayments", "the payment contract", token.address)
        registry = _deploy(web3, deployer, gas, "PodRegistry", "the registry")
        market = Market(node, web3, token, payments, registry, parties, _terms(), gas)
        market.send(None, deployer, token.functions.mint(market.publisher, 10**9 * TOKEN))
        market.send(None, deployer, token.functions.mint(market.payout, TOKEN))
        for contract in (market.pay, market.list):
            market.send(None, market.owner, contract.setOperator(market.operator, True))
        market.send(None, market.owner, market.pay.setPayout(market.payout))
        yield market


def _terms() -> Terms:
    """In cents: 2 a core-hour, 0.2 and 0.01 a GiB-hour, 5 and 1 a GB. The cap cuts nothing."""
    hourly, gib = TOKEN // 100, 1024 * HOUR_S
    prices = prices_of(
        [
            Fraction(2 * hourly, 1000 * HOUR_S),
            Fraction(hourly, 5 * gib),
            Fraction(hourly, 100 * gib),
            Fraction(5 * hourly, 10**6),
            Fraction(hourly, 10**6),
        ]
    )
    return Terms.with_cap(prices, 20 * TOKEN, HOUR_S)


def _deploy(
    web3: Web3, deployer: Address, gas: dict[str, int], contract: str, name: str, *arguments: Any
) -> Contract:
    code = json.loads((ABI / f"{contract}.json").read_text())
    made = web3.eth.contract(abi=code["abi"], bytecode=code["bytecode"]).constructor(*arguments)
    sent = made.transact({"from": Web3.to_checksum_address(deployer), "gas": 16_000_000})
    receipt = web3.eth.wait_for_transaction_receipt(sent, poll_latency=0.005)
    gas[f"deploy {name}"] = receipt["gasUsed"]
    address = receipt["contractAddress"]
    assert address is not None
    return web3.eth.contract(address=address, abi=code["abi"])
