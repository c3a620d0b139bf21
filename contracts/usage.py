# SPDX-License-Identifier: Apache-2.0
"""Usage as the meter claims it: items, batches, and what the contract answers for each item."""

import json
from dataclasses import dataclass
from enum import IntFlag
from typing import Self

from trustedpods.contracts.terms import packed
from trustedpods.protocol.errors import BadInput, LocalProtocolError
from trustedpods.protocol.ids import (
    CHANNEL_ID_BITS,
    SALT_BYTES,
    Address,
    ChannelId,
    PodRef,
    parse_address,
)
from trustedpods.protocol.units import MAX_QUANTITY, TokenUnits, UnixSeconds, Usage

_QUANTITY_BITS = 48
_U32 = (1 << 32) - 1
_RELEASE = 1 << 255
_VOUCHER = 1 << 254
_WHOLE = 1 << 253


class ItemFlags(IntFlag):
    """Why an item was not, or not wholly, paid; the contract's numbers.

    STALE together with BAD_REF: the item asked for a voucher that is missing or does not hold. DRY
    together with a cut: it asked to be paid whole, and could not be.
    """

    CUT_DEPOSIT = 1
    CUT_CAP = 2
    DRY = 4
    FUTURE = 8
    STALE = 16
    FOREIGN = 32
    RELEASED = 64
    BAD_REF = 128

    @property
    def skipped(self) -> bool:
        """Nothing was written for this item; it is still to be claimed, or never will be."""
        return bool(self & (ItemFlags.DRY | ItemFlags.FUTURE | ItemFlags.STALE | ItemFlags.FOREIGN))


@dataclass(frozen=True, slots=True)
class UsageItem:
    """One period of one channel.

    `release` asks to end the channel and refund its rest. With `voucher` the item counts together
    with its publisher's voucher only, so that nobody can send it without and have it cut. With
    `whole` it is skipped rather than paid less than its due; not so an item that releases.
    """

    channel: ChannelId
    from_: UnixSeconds
    up_to: UnixSeconds
    usage: Usage
    release: bool = False
    voucher: bool = False
    whole: bool = False

    def words(self) -> tuple[int, int]:
        """The two words of `submitUsage`; numbers out of range are a bug here."""
        if not 0 <= self.channel < 1 << CHANNEL_ID_BITS:
            raise LocalProtocolError("a channel id has 192 bits")
        if not (0 <= self.from_ <= _U32 and 0 <= self.up_to <= _U32):
            raise LocalProtocolError(f"a period of {self.from_} to {self.up_to} does not fit 32 bits")
        second = (_RELEASE if self.release else 0) | (_VOUCHER if self.voucher else 0)
        second |= _WHOLE if self.whole else 0
        for index, quantity in enumerate(self.usage.quantities):
            if not 0 <= quantity <= MAX_QUANTITY:
                raise LocalProtocolError(f"quantity {index} of a usage item, {quantity}, exceeds 48 bits")
            second |= quantity << (_QUANTITY_BITS * index)
        return self.channel << 64 | self.from_ << 32 | self.up_to, second

    @classmethod
    def from_words(cls, first: int, second: int) -> Self:
        """The item behind two words."""
        quantities = (second >> (_QUANTITY_BITS * i) & MAX_QUANTITY for i in range(5))
        return cls(
            channel=ChannelId(first >> 64),
            from_=UnixSeconds(first >> 32 & _U32),
            up_to=UnixSeconds(first & _U32),
            usage=Usage(*quantities),
            release=bool(second & _RELEASE),
            voucher=bool(second & _VOUCHER),
            whole=bool(second & _WHOLE),
        )


@dataclass(frozen=True, slots=True)
class UsageClaim:
    """A batch for one owner. `refs` names, in order, the channels of the items that release."""

    owner: Address
    root: bytes
    items: tuple[UsageItem, ...]
    refs: tuple[PodRef, ...] = ()

    def __post_init__(self) -> None:
        """The refs must be exactly those of the releasing items, or the contract would refuse them."""
        releasing = [item.channel for item in self.items if item.release]
        if [ref.channel for ref in self.refs] != releasing:
            raise LocalProtocolError("a claim's refs are not those of its releasing items")

    @property
    def words(self) -> list[int]:
        """All items' words, in pairs."""
        return [word for item in self.items for word in item.words()]


@dataclass(frozen=True, slots=True)
class SignedClaim:
    """A batch with the meter's signature: anybody may send it, as often as they like."""

    claim: UsageClaim
    meter: Address
    signature: bytes

    def to_json(self) -> str:
        """For the disk: what was signed last must survive the machine."""
        claim = self.claim
        return json.dumps(
            {
                "owner": claim.owner,
                "root": claim.root.hex(),
                "words": [f"{word:x}" for word in claim.words],
                "refs": [[ref.publisher, ref.salt.hex()] for ref in claim.refs],
                "meter": self.meter,
                "signature": self.signature.hex(),
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The other way; anything else than what `to_json` wrote raises `BadInput`."""
        try:
            data = json.loads(text)
            owner = parse_address(data["owner"])
            words = [int(word, 16) for word in data["words"]]
            pairs = zip(words[::2], words[1::2], strict=True)
            refs = tuple(_ref(owner, publisher, salt) for publisher, salt in data["refs"])
            claim = UsageClaim(
                owner=owner,
                root=bytes.fromhex(data["root"]),
                items=tuple(UsageItem.from_words(first, second) for first, second in pairs),
                refs=refs,
            )
            return cls(claim, parse_address(data["meter"]), bytes.fromhex(data["signature"]))
        except (ValueError, KeyError, TypeError, AttributeError, LocalProtocolError):
            raise BadInput("this is not a stored claim") from None


def _ref(owner: Address, publisher: str, salt: str) -> PodRef:
    raw = bytes.fromhex(salt)
    if len(raw) != SALT_BYTES:
        raise ValueError
    return PodRef(owner, parse_address(publisher), raw)


@dataclass(frozen=True, slots=True)
class SubmissionResult:
    """What the contract did with one item.

    `channel_low` holds the low 128 bits of the id, `up_to` the channel's settled time afterwards.
    """

    channel_low: int
    flags: ItemFlags
    up_to: UnixSeconds
    paid: TokenUnits

    @classmethod
    def from_word(cls, word: int) -> Self:
        """Decode one word of `UsageSubmitted` or `Rotated`."""
        return cls(
            channel_low=word >> 128,
            flags=ItemFlags(word >> 120 & 0xFF),
            up_to=UnixSeconds(word >> 88 & _U32),
            paid=TokenUnits(word & (1 << 88) - 1),
        )

    def word(self) -> int:
        """The word as the contract logs it."""
        low = self.channel_low
        return packed((self.paid, 88), (self.up_to, 32), (int(self.flags), 8), (low, 128))

    def is_for(self, channel: ChannelId) -> bool:
        """Whether this result belongs to that channel."""
        return self.channel_low == channel % (1 << 128)
