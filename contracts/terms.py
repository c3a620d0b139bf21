# SPDX-License-Identifier: Apache-2.0
"""Terms of a channel: prices, rate cap and notice, as one word of the payment contract.

Layout, high bits first: unlockAt u40, unlockMinutes u16, cap mantissa u24, cap exponent u8,
scale u8, five prices u32 (the first in the lowest bits). `unlockAt` is the chain's, never ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Self

from trustedpods.protocol.errors import BadInput, LocalProtocolError
from trustedpods.protocol.messages.provider import Prices
from trustedpods.protocol.units import TokenUnits, UnixSeconds, Usage

DAY_S = 86_400
MINUTE_S = 60
MAX_UNLOCK_MINUTES = 30 * 24 * 60
MAX_CAP_EXPONENT = 64
MAX_SCALE = 128
MAX_DEPOSIT = TokenUnits((1 << 88) - 1)

CAP_CLAIM_INTERVAL_S = 8
"""The shortest claim interval that caps allow for, on both sides: each claim forfeits up to two seconds of
it, so this is a quarter on top of the peak. Providers claim every 10 s in a localnet, daily elsewhere; who
claims more often than this may lose what is cut."""

_PRICE_BITS = 32
_MANTISSA_BITS = 24
_SCALE_BITS = 8
_SCALE_AT, _EXPONENT_AT, _MANTISSA_AT, _UNLOCK_MINUTES_AT, _UNLOCK_AT = 160, 168, 176, 200, 216
_PRICES_MASK = (1 << _EXPONENT_AT) - 1
_KNOWN_PRICES = 256
"""Prices kept decoded: all pods of a provider have few, and their channels are read every second or two."""


def packed(*fields: tuple[int, int]) -> int:
    """A word of (value, bits) fields, the first in its lowest bits; what does not fit is a bug here."""
    word = place = 0
    for value, bits in fields:
        if not 0 <= value < 1 << bits:
            raise LocalProtocolError(f"{value} does not fit the {bits} bits of its field")
        word |= value << place
        place += bits
    return word


def due(usage: Usage, prices: Prices) -> TokenUnits:
    """What a usage costs, rounded down once: (sum of quantity * price) * 2^64 >> scale."""
    total = sum(q * p for q, p in zip(usage.quantities, price_list(prices), strict=True))
    return TokenUnits((total << 64) >> prices.scale)


def price_list(prices: Prices) -> tuple[int, ...]:
    """The five mantissas in the order of `Usage`."""
    return (
        prices.cpu_core_ms,
        prices.memory_mib_s,
        prices.storage_mib_s,
        prices.egress_kib,
        prices.ingress_kib,
    )


def pack_prices(prices: Prices) -> int:
    """Scale and mantissas as the low 168 bits of a terms or offer word."""
    return packed(*((price, _PRICE_BITS) for price in price_list(prices)), (prices.scale, _SCALE_BITS))


def unpack_prices(word: int) -> Prices:
    """The other way; a scale that no contract accepts raises `BadInput`."""
    return _unpacked_prices(word & _PRICES_MASK)


@lru_cache(_KNOWN_PRICES)
def _unpacked_prices(word: int) -> Prices:
    scale = word >> _SCALE_AT
    if scale > MAX_SCALE:
        raise BadInput(f"a price scale of {scale} is above {MAX_SCALE}")
    cpu, memory, storage, egress, ingress = (word >> (_PRICE_BITS * i) & 0xFFFFFFFF for i in range(5))
    return Prices(
        cpu_core_ms=cpu,
        memory_mib_s=memory,
        storage_mib_s=storage,
        egress_kib=egress,
        ingress_kib=ingress,
        scale=scale,
    )


def prices_of(per_unit: Sequence[Fraction]) -> Prices:
    """Mantissas for exact prices in base units a metered unit (core-ms, MiB-s, MiB-s, KiB, KiB).

    The scale is the finest at which the dearest price still fits, so a price is off by less than
    2^-31 of the dearest one.
    """
    dearest = max(per_unit)
    for scale in range(MAX_SCALE, -1, -1):
        mantissas = [round(price * Fraction(2) ** (scale - 64)) for price in per_unit]
        if max(mantissas) < 1 << _PRICE_BITS:
            names = ("cpu_core_ms", "memory_mib_s", "storage_mib_s", "egress_kib", "ingress_kib")
            return Prices(scale=scale, **dict(zip(names, mantissas, strict=True)))
    raise BadInput(f"a price of {dearest} base units does not fit the contract's price word")


def encode_cap(per_day: int, *, up: bool) -> tuple[int, int]:
    """(mantissa, exponent) of a cap, the nearest one not below (*up*) or not above *per_day*."""
    exponent = max(0, per_day.bit_length() - _MANTISSA_BITS)
    mantissa = per_day >> exponent
    if up and mantissa << exponent < per_day:
        mantissa += 1
    if mantissa == 1 << _MANTISSA_BITS:
        mantissa, exponent = mantissa >> 1, exponent + 1
    if exponent > MAX_CAP_EXPONENT:
        raise BadInput(f"a cap of {per_day} base units a day is beyond every deposit")
    return max(1, mantissa), exponent


def unlock_minutes(seconds: int) -> int:
    """Whole minutes of a notice of at least *seconds*."""
    minutes = -(-seconds // MINUTE_S)
    if not 0 <= minutes <= MAX_UNLOCK_MINUTES:
        raise BadInput(f"a notice of {seconds} s is beyond {MAX_UNLOCK_MINUTES * MINUTE_S} s")
    return minutes


@dataclass(frozen=True, slots=True)
class Terms:
    """What publisher and provider agreed on when the channel was opened."""

    prices: Prices
    cap_mantissa: int
    cap_exponent: int
    unlock_minutes: int

    @property
    def cap_per_day(self) -> TokenUnits:
        """Base units that may be claimed a day; up to a day of unused allowance is carried."""
        return TokenUnits(self.cap_mantissa << self.cap_exponent)

    @property
    def unlock_s(self) -> int:
        """Length of the notice in seconds."""
        return self.unlock_minutes * MINUTE_S

    def pack(self) -> int:
        """The terms word as `open` takes it."""
        return packed(
            (pack_prices(self.prices), _EXPONENT_AT),
            (self.cap_exponent, _MANTISSA_AT - _EXPONENT_AT),
            (self.cap_mantissa, _MANTISSA_BITS),
            (self.unlock_minutes, _UNLOCK_AT - _UNLOCK_MINUTES_AT),
        )

    @classmethod
    def unpack(cls, word: int) -> Self:
        """Terms of a stored word; a notice that runs is not part of them (`unlock_at_of`)."""
        return cls(
            prices=unpack_prices(word),
            cap_mantissa=word >> _MANTISSA_AT & 0xFFFFFF,
            cap_exponent=word >> _EXPONENT_AT & 0xFF,
            unlock_minutes=word >> _UNLOCK_MINUTES_AT & 0xFFFF,
        )

    @classmethod
    def with_cap(cls, prices: Prices, per_day: int, unlock_s: int) -> Self:
        """Terms whose cap is the highest one not above *per_day* base units."""
        mantissa, exponent = encode_cap(per_day, up=False)
        return cls(prices, mantissa, exponent, unlock_minutes(unlock_s))

    @classmethod
    def for_peak(
        cls, prices: Prices, peak_per_second: Usage, *, unlock_s: int, claim_interval_s: int
    ) -> Self:
        """Terms whose cap never cuts a pod that uses at most *peak_per_second*."""
        mantissa, exponent = encode_cap(least_cap(prices, peak_per_second, claim_interval_s), up=True)
        return cls(prices, mantissa, exponent, unlock_minutes(unlock_s))

    def covers_peak(self, peak_per_second: Usage, claim_interval_s: int) -> bool:
        """Whether the cap never cuts that peak when claims come at that interval."""
        return self.cap_per_day >= least_cap(self.prices, peak_per_second, claim_interval_s)


def least_cap(prices: Prices, peak_per_second: Usage, claim_interval_s: int) -> TokenUnits:
    """Cap a day that lets a peak through: each claim may forfeit up to two seconds of allowance."""
    total = DAY_S * sum(q * p for q, p in zip(peak_per_second.quantities, price_list(prices), strict=True))
    numerator = (total << 64) * (claim_interval_s + 2)
    denominator = claim_interval_s << prices.scale
    return TokenUnits(max(1, -(-numerator // denominator)))


def unlock_at_of(word: int) -> UnixSeconds:
    """When the notice in a stored terms word ends; 0 when none runs."""
    return UnixSeconds(word >> _UNLOCK_AT)
