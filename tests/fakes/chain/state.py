# SPDX-License-Identifier: Apache-2.0
"""What the blocks of a chain in memory hold, and what any transaction needs: a node, gas, a balance."""

import copy
import functools
import secrets
from dataclasses import dataclass, field

from trustedpods.contracts import eip712
from trustedpods.contracts.records import Channel, ClosedInfo, GasFee, Market, Receipt
from trustedpods.protocol.errors import InsufficientFunds, NetworkFailure, Refused
from trustedpods.protocol.ids import address_from_bytes

BLOCK_GAS = 50_000
STATE = (
    "tokens",
    "gas",
    "credit",
    "payouts",
    "operators",
    "lives",
    "rows",
    "roots",
    "withdrawn",
    "moved",
)


address_of = functools.cache(eip712.address_of)
"""The few keys of a test sign again and again; their addresses take most of a fake's time."""


def _address(number):
    return address_from_bytes(number.to_bytes(20, "big"))


@dataclass
class Life:
    """One life of a channel with what events would tell of it."""

    channel: Channel
    publisher: str
    opened: int
    open_tx: bytes
    opened_at: int
    topped_up: int = 0
    closed: ClosedInfo | None = None
    meters: list = field(default_factory=list)
    salt: bytes = b""


@dataclass
class ChainState:
    """Time stands still unless a test moves `now`; `broken` is a node that is gone.

    `bare` are addresses without code, `unheard` receipts of top-ups whose end a killed run did not hear.
    """

    market: Market = field(default_factory=lambda: Market(31337, _address(1), _address(2), _address(3)))
    now: int = 1_800_000_000
    number: int = 1
    decimals: int = 6
    broken: bool = False
    wei_per_gas: int = 10**9
    tokens: dict = field(default_factory=dict)
    gas: dict = field(default_factory=dict)
    credit: dict = field(default_factory=dict)
    payouts: dict = field(default_factory=dict)
    operators: set = field(default_factory=set)
    half_named: set = field(default_factory=set)
    lives: dict = field(default_factory=dict)
    rows: dict = field(default_factory=dict)
    roots: dict = field(default_factory=dict)
    fees: dict = field(default_factory=dict)
    withdrawn: dict = field(default_factory=dict)
    moved: dict = field(default_factory=dict)
    log: list = field(default_factory=list)
    bare: set = field(default_factory=set)
    unheard: dict = field(default_factory=dict)
    sender: str = ""

    def pass_time(self, seconds):
        self.now += seconds
        self.number += 1

    def snapshot(self):
        """Everything that blocks hold, as it is now, for `reorganise`."""
        return copy.deepcopy({name: getattr(self, name) for name in STATE})

    def reorganise(self, snapshot):
        """Blocks since the snapshot never were; time and height go on."""
        for name, value in copy.deepcopy(snapshot).items():
            setattr(self, name, value)
        self.number += 1

    def give(self, who, tokens, gas=10**18):
        self.tokens[who] = self.tokens.get(who, 0) + tokens
        self.gas[who] = self.gas.get(who, 0) + gas

    def _reach(self):
        if self.broken:
            raise NetworkFailure("the chain node does not answer")

    def _sender(self, key):
        self._reach()
        sender = address_of(key)
        if self.gas.get(sender, 0) == 0:
            raise InsufficientFunds("the account cannot pay the gas", rule="gas")
        self.sender = sender
        return sender

    def _mined(self, verb, about):
        self.log.append((verb, about))
        self.number += 1
        tx_hash = secrets.token_bytes(32)
        self.fees[tx_hash] = GasFee(self.sender, BLOCK_GAS, BLOCK_GAS * self.wei_per_gas, self.now)
        return Receipt(tx_hash, BLOCK_GAS, self.number)

    def _require_balance(self, who, amount):
        held = self.tokens.get(who, 0)
        if held < amount:
            what = f"{who} holds {held} base units of the token, {amount} are needed"
            raise InsufficientFunds(what, rule="ERC20InsufficientBalance")


def require(holds, rule):
    if not holds:
        raise Refused(f"the contract refused: {rule}", rule=rule)
