# SPDX-License-Identifier: Apache-2.0
"""What the chain says, in our words. Pure: whoever decides about money needs no door to a chain for it."""

from dataclasses import dataclass
from typing import Self

from trustedpods.contracts.terms import Terms, unlock_at_of
from trustedpods.contracts.usage import SubmissionResult
from trustedpods.protocol.ids import Address, ChannelId, address_bytes
from trustedpods.protocol.units import TokenUnits, UnixSeconds

_TAG_BITS = 120

NOTHING = TokenUnits(0)
NEVER = UnixSeconds(0)


@dataclass(frozen=True, slots=True)
class Market:
    """One deployment. `finality_blocks`: how deep a block must lie before it counts as settled."""

    chain_id: int
    payments: Address
    registry: Address
    token: Address
    finality_blocks: int = 0


@dataclass(frozen=True, slots=True)
class Block:
    """A block of the chain; its time is the only clock that money knows."""

    number: int
    time: UnixSeconds
    hash: bytes


@dataclass(frozen=True, slots=True)
class Receipt:
    """A mined transaction.

    `moved` is what it paid out, where it did: the refund of a close or release, the amount of a
    withdrawal.
    """

    tx_hash: bytes
    gas_used: int
    block: int
    moved: TokenUnits = NOTHING


@dataclass(frozen=True, slots=True)
class GasFee:
    """What a mined transaction cost its sender, in the chain's own coin; *at* is the time of its block."""

    sender: Address
    gas: int
    wei: int
    at: UnixSeconds


@dataclass(frozen=True, slots=True)
class OwnerTotals:
    """What events tell that an owner was credited and paid out, in base units, since the contract began.

    Hints, as nodes forget: they are whole when `credited` less `withdrawn` is what the contract owes.
    """

    credited: TokenUnits
    withdrawn: TokenUnits
    claims: int


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """The market's ERC-20."""

    symbol: str
    decimals: int


def meter_tag(meter: Address) -> int:
    """The 120 bits of a meter's address that a channel keeps."""
    return int.from_bytes(address_bytes(meter), "big") % (1 << _TAG_BITS)


@dataclass(frozen=True, slots=True)
class Channel:
    """A live channel.

    `left` is what is neither claimed nor refunded, `up_to` the end of the last settled period,
    `carry` the unused allowance in units of two seconds, `unlock_at` the end of a notice or 0.
    """

    id: ChannelId
    meter_tag: int
    up_to: UnixSeconds
    left: TokenUnits
    terms: Terms
    unlock_at: UnixSeconds = NEVER
    carry: int = 0

    @classmethod
    def from_words(cls, channel: ChannelId, hot: int, terms: int) -> Self | None:
        """A channel's two words as `status` returns them; None when both are zero: there is none."""
        if hot == 0:
            return None
        return cls(
            id=channel,
            meter_tag=hot >> 136,
            up_to=UnixSeconds(hot >> 88 & 0xFFFFFFFF),
            left=TokenUnits(hot & (1 << 88) - 1),
            terms=Terms.unpack(terms),
            unlock_at=unlock_at_of(terms),
            carry=hot >> 120 & 0xFFFF,
        )


@dataclass(frozen=True, slots=True)
class ClosedInfo:
    """How a channel ended. `pushed` is False when the token refused the refund: it was credited."""

    refund: TokenUnits
    pushed: bool
    tx_hash: bytes
    block: int


@dataclass(frozen=True, slots=True)
class OpenedChannel:
    """That a publisher opened a channel, as an event told; whether it still lives says `channels`."""

    owner: Address
    channel: ChannelId
    terms: Terms
    amount: TokenUnits
    tx_hash: bytes
    block: int


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """Channels that live now, each read by a view.

    `hints` is False when the node would not tell events: then there may be channels that neither
    it nor the caller named.
    """

    channels: dict[tuple[Address, ChannelId], Channel]
    hints: bool


@dataclass(frozen=True, slots=True)
class ChannelEvents:
    """What events tell of a channel's latest life. Hints only: a node may have forgotten them.

    `opened` is the first deposit and `opened_at` its block's time, where the first period begins;
    both are None when its event was not found. `topped_up` is what came later.
    """

    opened: TokenUnits | None
    topped_up: TokenUnits
    open_tx: bytes | None
    closed: ClosedInfo | None
    opened_at: UnixSeconds | None = None


@dataclass(frozen=True, slots=True)
class Submission:
    """One mined transaction that carried a batch: what the contract did with each item, in order.

    The same batch may be mined more than once; its items are paid in one of them at most.
    """

    tx_hash: bytes
    block: int
    results: tuple[SubmissionResult, ...]


@dataclass(frozen=True, slots=True)
class OperatorRights:
    """What an owner lets an address do: keep rows in the registry, hand in moves of channels.

    Each contract keeps a list of its own, so a key that is named in one alone can do half.
    """

    registry: bool
    payments: bool

    @property
    def all(self) -> bool:
        """Named in both."""
        return self.registry and self.payments

    @property
    def any(self) -> bool:
        """Named in one at least."""
        return self.registry or self.payments
