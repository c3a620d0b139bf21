# SPDX-License-Identifier: Apache-2.0
"""Rows of the registry: packing, and decoding `pageRaw` without web3's slow decoder.

Rows are written by anybody: whatever does not decode is left out or left empty, never trusted.
"""

from dataclasses import dataclass, field
from functools import lru_cache

from multiaddr import Multiaddr
from multiaddr.exceptions import Error as MultiaddrError

from trustedpods.contracts.terms import MINUTE_S, pack_prices, unlock_minutes, unpack_prices
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.ids import ADDRESS_BYTES, Address, address_from_bytes
from trustedpods.protocol.messages import LeastTerms, Prices, TrustClass
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
_UNLOCK_AT, _IDLE_AT, _DEPOSIT_AT, _DECIMALS_AT = 168, 184, 216, 248


@dataclass(frozen=True, slots=True)
class RegistryRow:
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


def pack_offer(prices: Prices, least: LeastTerms) -> int:
    """Prices and least terms as one word; what it cannot hold exactly raises `BadInput`."""
    mantissa, decimals = _decimal(least.deposit)
    if least.unlock_s % MINUTE_S:
        raise BadInput(f"an unlock period of {least.unlock_s} s is not a whole number of minutes")
    return (
        decimals << _DECIMALS_AT
        | mantissa << _DEPOSIT_AT
        | least.idle_mib << _IDLE_AT
        | unlock_minutes(least.unlock_s) << _UNLOCK_AT
        | pack_prices(prices)
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
    region = row.region.encode()
    if len(region) > REGION_BYTES:
        raise BadInput(f"a region has at most {REGION_BYTES} bytes: {row.region!r}")
    unknown = sorted(set(row.tee) - set(TEE_KINDS))
    if unknown:
        raise BadInput(f"unknown TEE kind {unknown[0]!r}; known: {', '.join(TEE_KINDS)}")
    return (
        _TRUST_NUMBERS[row.trust],
        sum(1 << TEE_KINDS.index(kind) for kind in set(row.tee)),
        region.ljust(REGION_BYTES, b"\0"),
        row.token,
        pack_offer(row.prices, row.least),
        row.chip_digest,
        row.profile_digest,
        endpoint_bytes(row.endpoint),
    )


def decode_page(raw: bytes) -> list[RegistryRow]:
    """Rows of one `pageRaw` answer with endpoints; rows that make no sense are left out."""
    rows = []
    position = 0
    while position + _STATIC + _WORD <= len(raw):
        static = raw[position : position + _STATIC]
        position += _STATIC
        length = int.from_bytes(raw[position : position + _WORD], "big")
        position += _WORD
        if length > MAX_ENDPOINT:
            break
        endpoint = raw[position : position + length]
        position += -(-length // _WORD) * _WORD
        row = _decode(static, endpoint)
        if row is not None:
            rows.append(row)
    return rows


def _decode(static: bytes, endpoint: bytes) -> RegistryRow | None:
    head, place = int.from_bytes(static[:32], "big"), static[32:64]
    trust = _TRUST_NAMES.get(head >> 224 & 0xFF)
    try:
        prices, least = unpack_offer(int.from_bytes(static[64:96], "big"))
    except BadInput:
        return None
    if trust is None:
        return None
    return RegistryRow(
        owner=_address(static[12:32]),
        daemon=head >> 160 & 0xFFFFFFFF,
        updated_at=UnixSeconds(head >> 192 & 0xFFFFFFFF),
        trust=trust,
        region=place[: _WORD - ADDRESS_BYTES].rstrip(b"\0").decode(errors="replace"),
        tee=[kind for bit, kind in enumerate(TEE_KINDS) if head >> (232 + bit) & 1],
        chip_digest=static[96:128],
        token=_address(place[_WORD - ADDRESS_BYTES :]),
        prices=prices,
        least=least,
        profile_digest=static[128:160],
        endpoint=_endpoint_text(endpoint),
    )


@lru_cache(maxsize=4096)
def _address(raw: bytes) -> Address:
    return address_from_bytes(raw)


def _endpoint_text(raw: bytes) -> str:
    try:
        return str(Multiaddr(raw)) if raw else ""
    except (MultiaddrError, ValueError, LookupError, TypeError):
        return ""
