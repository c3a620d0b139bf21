# SPDX-License-Identifier: Apache-2.0
"""Money between a publisher and the contract: `fund`, `close`, `balance`, and what became of a deposit."""

from dataclasses import dataclass, field
from typing import Literal, Self

from trustedpods.contracts.records import Receipt
from trustedpods.protocol.ids import Address, ChannelId, channel_hex
from trustedpods.protocol.units import TokenUnits, UnixSeconds
from trustedpods.publisher.core.money import Token
from trustedpods.publisher.results.channels import PodChannel
from trustedpods.publisher.results.providers import ProviderId


@dataclass(frozen=True, slots=True)
class MinedTransaction:
    """A transaction on chain; gas and block only where this client sent it itself."""

    hash: bytes
    gas: int | None = None
    block: int | None = None

    @classmethod
    def of(cls, receipt: Receipt) -> Self:
        """One that this client sent."""
        return cls(receipt.tx_hash, receipt.gas_used, receipt.block)


DepositState = Literal["untouched", "open", "unlocking", "released", "closed", "unknown"]
"""Nothing was paid; the channel stays as it was; its notice runs; the provider gave it back; it is gone
(closed by us where a refund is told); the chain does not answer, and the deposit may be there still."""


@dataclass(frozen=True, slots=True)
class DepositOutcome:
    """What became of the deposit of one channel.

    `left` is in the channel still, `refund` came back; `pushed` is False when the token refused the refund
    and the contract owes it. From `unlock_at` on the channel can be closed. `transaction` did it, where one
    is known.
    """

    state: DepositState
    left: TokenUnits | None = None
    refund: TokenUnits | None = None
    pushed: bool | None = None
    unlock_at: UnixSeconds | None = None
    transaction: MinedTransaction | None = None


@dataclass(frozen=True, slots=True)
class FundResult:
    """`fund`: what was paid into the pod's channel; `channel` is as it stands afterwards."""

    pod: str
    token: Token
    channel: PodChannel
    paid: TokenUnits
    transaction: MinedTransaction


@dataclass(slots=True)
class FundProgress:
    """None while nothing was paid; `done.channel` is as it was before, until the chain was asked again."""

    done: FundResult | None = None


@dataclass(frozen=True, slots=True)
class ClosedChannel:
    """One channel under the pod's name, and what `close` did about it."""

    provider: ProviderId
    channel: ChannelId
    outcome: DepositOutcome


@dataclass(frozen=True, slots=True)
class GoneResult:
    """A pod that was gone before it was to be ended: where it was, and what became of its deposit then."""

    name: str
    publisher: Address
    token: Token
    channel: PodChannel
    money: DepositOutcome

    @property
    def line(self) -> str:
        """For people."""
        if self.money.state == "unlocking":
            waits = "" if self.money.left is None else f"{self.token.rough(self.money.left)} "
            channel = channel_hex(self.channel.id)
            return (
                f"{self.name} was gone already: {waits}at {self.channel.provider.name} comes back when the "
                f"notice is over: `trustedpods watch` closes channel {channel} then, or `trustedpods close "
                f"{channel}`"
            )
        back = "" if self.money.refund is None else f", {self.token.rough(self.money.refund)} came back then"
        return f"{self.name} was gone already: its channel at {self.channel.provider.name} has ended{back}"


@dataclass(frozen=True, slots=True)
class CloseResult:
    """`close`: every channel under the pod's name, as a failed deploy may have left one elsewhere.

    `gone`: the last of them had ended before.
    """

    pod: str
    token: Token
    channels: tuple[ClosedChannel, ...]
    gone: bool = False


@dataclass(slots=True)
class CloseProgress:
    """The channels that were seen to so far; `token` is None before the pod was found."""

    pod: str | None = None
    token: Token | None = None
    channels: list[ClosedChannel] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class WithdrawResult:
    """`withdraw`: what the contract owed the address, and paid; no `transaction` where that was nothing.

    `returned` went to the payer, where that was asked for, by `returned_by`.
    """

    publisher: Address
    token: Token
    paid: TokenUnits
    transaction: MinedTransaction | None = None
    returned: TokenUnits | None = None
    returned_by: MinedTransaction | None = None

    @property
    def lines(self) -> list[str]:
        """For a person."""
        came = f"{self.token.text(self.paid)} came from the payment contract"
        lines = ["the payment contract owes you nothing" if self.transaction is None else came]
        if self.returned is not None:
            lines.append(f"{self.token.text(self.returned)} went to the payer")
        return lines


@dataclass(frozen=True, slots=True)
class ChannelBalance:
    """A channel that the publisher opened with `deposit`; with what came later `paid_in` altogether.

    `name` is the pod's, where this client knows it. An open channel has `left` and, under notice,
    `unlock_at`; a closed one `refund` and `closed_tx`, where the node remembers its end.
    """

    channel: ChannelId
    name: str | None
    owner: Address
    deposit: TokenUnits
    paid_in: TokenUnits
    opened_tx: bytes
    state: Literal["open", "unlocking", "closed"]
    left: TokenUnits | None = None
    unlock_at: UnixSeconds | None = None
    refund: TokenUnits | None = None
    closed_tx: bytes | None = None


@dataclass(frozen=True, slots=True)
class BalanceResult:
    """`balance`: the address, its tokens, its coin for gas in wei, and what the contract owes it."""

    publisher: Address
    token: Token
    balance: TokenUnits
    gas_wei: int
    owed: TokenUnits
    channels: tuple[ChannelBalance, ...]
