# SPDX-License-Identifier: Apache-2.0
"""Rows of the registry: packing, and decoding `pageRaw` without a general and slow decoder.

Rows are written by anybody: whatever does not decode is left out or left empty, never trusted.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

from multiaddr import Multiaddr
from multiaddr.exceptions import Error as MultiaddrError

from trustedpods.contracts.records import NEVER
from trustedpods.contracts.terms import (
    MAX_SCALE,
    MINUTE_S,
    pack_prices,
    packed,
    unlock_minutes,
    unpack_prices,
)
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.ids import Address, address_from_bytes
from trustedpods.protocol.messages.provider import LeastTerms, Prices, TrustClass
from trustedpods.protocol.units import UnixSeconds

MAX_ENDPOINT = 128
REGION_BYTES = 12
TEE_KINDS = ("sev-snp", "tdx")
"""In the order of the mask's bits."""

_TRUST_NUMBERS: dict[TrustClass, int] = {"sealed": 1, "open": 2}
_TRUST_NAMES: dict[int, TrustClass] = {number: name for name, number in _TRUST_NUMBERS.items()}
_STATIC = 5 * 32
_WORD = 32
_MAX_DECIMALS = 60
_NO_ADDRESS = "0x" + 40 * "0"
_UNLOCK_AT, _IDLE_AT, _DEPOSIT_AT, _DECIMALS_AT = 168, 184, 216, 248


class _Packed:
    """The words of a row as the chain gave them; its fields are decoded when they are first asked for.

    Who lists ten thousand rows looks at all fields of a few: a checksummed address alone costs more
    than everything else that is done for a row.
    """

    __slots__ = ("_packed",)
    _packed: tuple[bytes, bytes]

    if not TYPE_CHECKING:  # for the type checker a row has its fields and no others

        def __getattr__(self, name: str) -> object:
            """A field whose slot is empty still."""
            decoder = _DECODERS.get(name)
            if decoder is None:
                raise AttributeError(name)
            value = decoder(*self._packed)
            object.__setattr__(self, name, value)
            return value


@dataclass(frozen=True, slots=True)
class RegistryRow(_Packed):
    """One daemon of one owner, as its owner describes it.

    `endpoint` is a multiaddr with /p2p/; it is empty when the row holds something else.
    """

    owner: Address
    daemon: int
    updated_at: UnixSeconds
    trust: TrustClass
    region: str
    tee: list[str]
    chip_digest: bytes
    token: Address
    prices: Prices
    least: LeastTerms
    profile_digest: bytes
    endpoint: str = field(default="")


@dataclass(frozen=True, slots=True)
class RowFilter:
    """What `Chain.select` looks for; what is None or empty matches everything.

    `tee`: kinds of which a row must have all. `ceiling`: the highest prices, one by one.
    `not_before`: the row was written, or kept fresh by a heartbeat, since.
    """

    trust: TrustClass | None = None
    tee: tuple[str, ...] = ()
    region: str = ""
    token: Address | None = None
    ceiling: Prices | None = None
    not_before: UnixSeconds = NEVER

    def words(self) -> tuple[int, int, bytes, str, int, int]:
        """The contract's `Filter`; `BadInput` for what no row can have.

        A ceiling of no price at all is the contract's word for none: free rows are found without.
        """
        return (
            _TRUST_NUMBERS[self.trust] if self.trust else 0,
            _tee_mask(self.tee),
            _region_bytes(self.region),
            self.token or _NO_ADDRESS,
            pack_prices(self.ceiling) if self.ceiling else 0,
            self.not_before,
        )


def pack_offer(prices: Prices, least: LeastTerms) -> int:
    """Prices and least terms as one word; what it cannot hold exactly raises `BadInput`."""
    mantissa, decimals = _decimal(least.deposit)
    if least.unlock_s % MINUTE_S:
        raise BadInput(f"an unlock period of {least.unlock_s} s is not a whole number of minutes")
    return packed(
        (pack_prices(prices), _UNLOCK_AT),
        (unlock_minutes(least.unlock_s), _IDLE_AT - _UNLOCK_AT),
        (least.idle_mib, _DEPOSIT_AT - _IDLE_AT),
        (mantissa, _DECIMALS_AT - _DEPOSIT_AT),
        (decimals, 8),
    )


def unpack_offer(word: int) -> tuple[Prices, LeastTerms]:
    """The other way; what no contract accepts raises `BadInput`."""
    decimals = word >> _DECIMALS_AT
    if decimals > _MAX_DECIMALS:
        raise BadInput(f"a deposit's exponent of {decimals} is above {_MAX_DECIMALS}")
    least = LeastTerms(
        deposit=(word >> _DEPOSIT_AT & 0xFFFFFFFF) * 10**decimals,
        unlock_s=(word >> _UNLOCK_AT & 0xFFFF) * MINUTE_S,
        idle_mib=word >> _IDLE_AT & 0xFFFFFFFF,
    )
    return unpack_prices(word), least


def _decimal(deposit: int) -> tuple[int, int]:
    mantissa, decimals = deposit, 0
    while mantissa >= 1 << 32 and mantissa % 10 == 0:
        mantissa, decimals = mantissa // 10, decimals + 1
    if mantissa >= 1 << 32 or decimals > _MAX_DECIMALS:
        raise BadInput(f"a least deposit of {deposit} has more than nine significant digits")
    return mantissa, decimals


def endpoint_bytes(endpoint: str) -> bytes:
    """Binary form of a multiaddr; too long a one or none at all raises `BadInput`."""
    try:
        raw = bytes(Multiaddr(endpoint).to_bytes())
    except (MultiaddrError, ValueError) as error:
        raise BadInput(f"not a multiaddr: {endpoint!r}: {error}") from None
    if len(raw) > MAX_ENDPOINT:
        raise BadInput(f"an endpoint of {len(raw)} bytes does not fit a row ({MAX_ENDPOINT})")
    return raw


def entry(row: RegistryRow) -> tuple[int, int, bytes, str, int, bytes, bytes, bytes]:
    """The `Entry` of `register`, in the contract's order."""
    return (
        _TRUST_NUMBERS[row.trust],
        _tee_mask(row.tee),
        _region_bytes(row.region),
        row.token,
        pack_offer(row.prices, row.least),
        row.chip_digest,
        row.profile_digest,
        endpoint_bytes(row.endpoint),
    )


def _region_bytes(region: str) -> bytes:
    raw = region.encode()
    if len(raw) > REGION_BYTES:
        raise BadInput(f"a region has at most {REGION_BYTES} bytes: {region!r}")
    return raw.ljust(REGION_BYTES, b"\0")


def _tee_mask(kinds: Iterable[str]) -> int:
    unknown = sorted(set(kinds) - set(TEE_KINDS))
    if unknown:
        raise BadInput(f"unknown TEE kind {unknown[0]!r}; known: {', '.join(TEE_KINDS)}")
    return sum(1 << TEE_KINDS.index(kind) for kind in set(kinds))


RowStruct: TypeAlias = tuple[str, int, int, int, int, str, bytes, int, bytes, bytes, bytes]
"""`Row`: owner, daemon, updatedAt, trust, tee, token, region, offer, chip, profile, endpoint."""


def row_of_struct(struct: RowStruct) -> RegistryRow | None:
    """A row as `get` returns it; None when it makes no sense."""
    owner, daemon, updated_at, trust, tee, token, region, offer, chip, profile, endpoint = struct
    head = tee << 232 | trust << 224 | updated_at << 192 | daemon << 160 | int(owner, 16)
    static = head.to_bytes(32, "big") + region + bytes.fromhex(token[2:]) + offer.to_bytes(32, "big")
    length = len(endpoint).to_bytes(_WORD, "big")
    padded = endpoint.ljust(-(-len(endpoint) // _WORD) * _WORD, b"\0")
    rows = decode_page(static + chip + profile + length + padded)
    return rows[0] if rows else None


def decode_page(raw: bytes) -> list[RegistryRow]:
    """Rows of one `pageRaw` answer with endpoints; rows that make no sense are left out."""
    rows = []
    position, size = 0, len(raw)
    while position + _STATIC + _WORD <= size:
        start, position = position, position + _STATIC + _WORD
        length = int.from_bytes(raw[position - _WORD : position], "big")
        if length > MAX_ENDPOINT:
            break
        sound = (
            raw[start + _TRUST_BYTE] in _TRUST_NAMES
            and raw[start + _SCALE_BYTE] <= MAX_SCALE
            and raw[start + _DECIMALS_BYTE] <= _MAX_DECIMALS
        )
        if sound:
            row = RegistryRow.__new__(RegistryRow)
            packed = (raw[start : start + _STATIC], raw[position : position + length])
            object.__setattr__(row, "_packed", packed)
            rows.append(row)
        position += -(-length // _WORD) * _WORD
    return rows


@lru_cache(maxsize=4096)
def _address(raw: bytes) -> Address:
    return address_from_bytes(raw)


def _endpoint_text(raw: bytes) -> str:
    try:
        return str(Multiaddr(raw)) if raw else ""
    except (MultiaddrError, ValueError, LookupError, TypeError):
        return ""


_TRUST_BYTE, _DECIMALS_BYTE, _SCALE_BYTE = 3, 64, 75
"""Where a row's words have the three bytes that no contract accepts just any value of."""


def _offer(static: bytes) -> tuple[Prices, LeastTerms]:
    return unpack_offer(int.from_bytes(static[64:96], "big"))


_DECODERS: dict[str, Callable[[bytes, bytes], object]] = {
    "owner": lambda static, _: _address(static[12:32]),
    "daemon": lambda static, _: int.from_bytes(static[8:12], "big"),
    "updated_at": lambda static, _: int.from_bytes(static[4:8], "big"),
    "trust": lambda static, _: _TRUST_NAMES[static[_TRUST_BYTE]],
    "region": lambda static, _: static[32:44].rstrip(b"\0").decode(errors="replace"),
    "tee": lambda static, _: [kind for bit, kind in enumerate(TEE_KINDS) if static[2] >> bit & 1],
    "chip_digest": lambda static, _: static[96:128],
    "token": lambda static, _: _address(static[44:64]),
    "prices": lambda static, _: _offer(static)[0],
    "least": lambda static, _: _offer(static)[1],
    "profile_digest": lambda static, _: static[128:160],
    "endpoint": lambda _, endpoint: _endpoint_text(endpoint),
}
