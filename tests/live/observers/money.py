# SPDX-License-Identifier: Apache-2.0
"""The money of a localnet, read from its chain: never from what a command says about it."""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import httpx
import trio

from tests.live.localnet_fixture import LiveLocalnet
from trustedpods.contracts.client import Chain
from trustedpods.contracts.records import Channel, ChannelEvents
from trustedpods.localnet.market import accounts
from trustedpods.localnet.market.files import read_market
from trustedpods.protocol.ids import Address, ChannelId

T = TypeVar("T")

WHOLE_TOKENS = 1_000
GAS_WEI = 10**18


@dataclass(frozen=True)
class Bank:
    """Questions to the chain of a running localnet."""

    market: LiveLocalnet

    def ask(self, question: Callable[[Chain], Awaitable[T]]) -> T:
        """One question, on a connection of its own."""

        async def asked() -> T:
            async with Chain(self.market.settings.rpc, read_market(self.market.state)) as chain:
                return await question(chain)

        return trio.run(asked)

    def rpc(self, method: str, *parameters: object) -> object:
        """A call of anvil's own."""
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
        answer = httpx.post(self.market.settings.rpc, json=body, timeout=60).json()
        assert "error" not in answer, answer
        return answer["result"]

    def time(self) -> int:
        """The newest block's, by which money is counted."""
        return self.ask(lambda chain: chain.head()).time

    def head(self) -> int:
        """Number of the newest block."""
        return int(str(self.rpc("eth_blockNumber")), 16)

    @property
    def owner(self) -> Address:
        """The provider's owner, who is paid."""
        return accounts.address(accounts.owner_key(self.market.cluster()))

    def balance(self, who: Address) -> int:
        """Base units that *who* holds."""
        return self.ask(lambda chain: chain.token_balance(who))

    def paid_out(self) -> int:
        """Base units at the provider's payout address."""

        async def read(chain: Chain) -> int:
            return await chain.token_balance(await chain.payout(self.owner))

        return self.ask(read)

    def owed(self) -> int:
        """Base units that the contract holds for the provider."""
        return self.ask(lambda chain: chain.owed(self.owner))

    def channel(self, channel: str) -> Channel | None:
        """A channel as it stands; None: there is none."""
        return self.ask(lambda chain: chain.channel(self.owner, _id(channel)))

    def events(self, channel: str) -> ChannelEvents:
        """What was paid into a channel, and how it ended."""
        return self.ask(lambda chain: chain.channel_events(self.owner, _id(channel)))

    def transactions_of(self, who: Address) -> int:
        """How many transactions an account has sent: its nonce."""
        return int(str(self.rpc("eth_getTransactionCount", who, "latest")), 16)

    def new_account(self, folder: Path) -> Path:
        """The key file of an account that nobody used before, with tokens and gas."""
        file = folder / f"{secrets.token_hex(4)}.key"
        file.write_text("0x" + secrets.token_hex(32) + "\n")
        file.chmod(0o600)
        address = accounts.address(file)
        self.rpc("anvil_setBalance", address, hex(GAS_WEI))
        deployer = accounts.read_key(accounts.deployer_key(self.market.state))
        amount = WHOLE_TOKENS * 10**self.market.settings.knobs.decimals
        self.ask(lambda chain: chain.mint(deployer, address, amount))
        return file


def _id(channel: str) -> ChannelId:
    return ChannelId(int(channel, 16))
