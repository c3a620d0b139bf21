# SPDX-License-Identifier: Apache-2.0
"""EIP-712: what a meter signs (usage), what a publisher signs (permits, moves, vouchers). Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from eth_account.messages import encode_typed_data

from trustedpods.contracts.records import NEVER, NOTHING
from trustedpods.contracts.terms import packed
from trustedpods.contracts.usage import SignedClaim, UsageClaim
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.ids import Address, keccak256
from trustedpods.protocol.sealing import signatures
from trustedpods.protocol.sealing.signatures import signer_of
from trustedpods.protocol.units import TokenUnits, UnixSeconds

PAYMENTS_NAME = "PodPayments"
PAYMENTS_VERSION = "1"

_Types: TypeAlias = Mapping[str, Sequence[Mapping[str, str]]]

_USAGE_TYPES = {
    "Usage": [
        {"name": "owner", "type": "address"},
        {"name": "root", "type": "bytes32"},
        {"name": "words", "type": "uint256[]"},
        {"name": "refs", "type": "Ref[]"},
    ],
    "Ref": [{"name": "publisher", "type": "address"}, {"name": "salt", "type": "bytes32"}],
}
_PERMIT_TYPES = {
    "Permit": [
        {"name": "owner", "type": "address"},
        {"name": "spender", "type": "address"},
        {"name": "value", "type": "uint256"},
        {"name": "nonce", "type": "uint256"},
        {"name": "deadline", "type": "uint256"},
    ]
}
_MOVE_TYPES = {
    "Move": [
        {"name": "owner", "type": "address"},
        {"name": "salt", "type": "bytes32"},
        {"name": "oldMeter", "type": "address"},
        {"name": "newMeter", "type": "address"},
        {"name": "from", "type": "uint32"},
        {"name": "upTo", "type": "uint32"},
        {"name": "pay", "type": "uint88"},
        {"name": "asOf", "type": "uint32"},
        {"name": "deadline", "type": "uint32"},
    ]
}
_VOUCHER_TYPES = {
    "Voucher": [
        {"name": "owner", "type": "address"},
        {"name": "salt", "type": "bytes32"},
        {"name": "meter", "type": "address"},
        {"name": "from", "type": "uint32"},
        {"name": "upTo", "type": "uint32"},
        {"name": "most", "type": "uint88"},
    ]
}


@dataclass(frozen=True, slots=True)
class Domain:
    """The EIP-712 domain of a contract."""

    name: str
    version: str
    chain_id: int
    contract: Address

    @classmethod
    def of_payments(cls, chain_id: int, payments: Address) -> "Domain":
        """The domain of a payment contract."""
        return cls(PAYMENTS_NAME, PAYMENTS_VERSION, chain_id, payments)

    def fields(self) -> dict[str, Any]:
        """As `encode_typed_data` takes it."""
        return {
            "name": self.name,
            "version": self.version,
            "chainId": self.chain_id,
            "verifyingContract": self.contract,
        }


@dataclass(frozen=True, slots=True)
class TypedData:
    """Data to be signed by EIP-712: its types by their names, the signed one first, and its values."""

    domain: Domain
    types: _Types
    message: Mapping[str, Any]

    @property
    def digest(self) -> bytes:
        """The 32 bytes that are signed."""
        return _digest(self.domain, self.types, self.message)


@dataclass(frozen=True, slots=True)
class Permit:
    """An allowance to sign for an ERC-20 with permit (ERC-2612)."""

    owner: Address
    spender: Address
    value: TokenUnits
    nonce: int
    deadline: UnixSeconds


_NO_PERMIT = Permit(Address("0x" + 40 * "0"), Address("0x" + 40 * "0"), NOTHING, 0, NEVER)


@dataclass(frozen=True, slots=True)
class Move:
    """A publisher's consent to another meter; see `Move` in PodPayments.sol.

    With `from_`, `up_to` and `pay` zero the channel only moves. `as_of` is the chain's time when the
    publisher looked, later than the channel's `up_to`: the move is void once the channel stands at or
    after it, as it does in any later life. Keep `deadline` short: a move without settlement can be
    handed in again until then, should the channel come back with nothing claimed. `whole` is the
    word of who hands it in, and not signed: skip the move rather than pay less than `pay`.
    """

    owner: Address
    salt: bytes
    old_meter: Address
    new_meter: Address
    as_of: UnixSeconds
    deadline: UnixSeconds
    from_: UnixSeconds = NEVER
    up_to: UnixSeconds = NEVER
    pay: TokenUnits = NOTHING
    whole: bool = False

    @property
    def plan(self) -> int:
        """The packed word of `rotate`; a number that does not fit its field is a bug here."""
        return packed(
            (self.pay, 88),
            (self.up_to, 32),
            (self.from_, 32),
            (self.deadline, 32),
            (self.as_of, 32),
            (0, 39),
            (self.whole, 1),
        )


@dataclass(frozen=True, slots=True)
class Voucher:
    """A publisher's word that one period of a meter may be paid up to `most`, whatever the cap says.

    Usage is still metered and limited by the deposit. It is good once, as a period is settled once,
    and good for nobody without the meter's signature over the same period.
    """

    owner: Address
    salt: bytes
    meter: Address
    from_: UnixSeconds
    up_to: UnixSeconds
    most: TokenUnits


@dataclass(frozen=True, slots=True)
class VRS:
    """A signature in the parts that `permit` takes."""

    v: int
    r: bytes
    s: bytes


def address_of(key: bytes) -> Address:
    """The address of a private key; a key of a wrong size or value raises `BadInput`."""
    try:
        return signatures.address_of(key)
    except BadInput:
        raise BadInput("this is not an Ethereum private key: 32 bytes, not zero") from None


def domain_separator(domain: Domain) -> bytes:
    """What a contract of that domain returns as DOMAIN_SEPARATOR()."""
    return encode_typed_data(domain.fields(), _PERMIT_TYPES, _permit(_NO_PERMIT)).header


def usage_digest(domain: Domain, claim: UsageClaim) -> bytes:
    """What the meter signs for a batch."""
    return _digest(domain, _USAGE_TYPES, _usage(claim))


def sign_usage(meter_key: bytes, domain: Domain, claim: UsageClaim) -> SignedClaim:
    """Sign a batch with the meter's key."""
    meter = address_of(meter_key)
    return SignedClaim(claim, meter, _sign(meter_key, domain, _USAGE_TYPES, _usage(claim)))


def sign_typed(key: bytes, data: TypedData) -> bytes:
    """Sign typed data with a private key: 65 bytes."""
    return _sign(key, data.domain, data.types, data.message)


def permit_data(domain: Domain, permit: Permit) -> TypedData:
    """An allowance as whoever signs it is asked for it; *domain* is the token's."""
    return TypedData(domain, _PERMIT_TYPES, _permit(permit))


def parts_of(signature: bytes) -> VRS:
    """A signature of 65 bytes in its parts."""
    return VRS(v=signature[64], r=signature[:32], s=signature[32:64])


def permit_digest(domain: Domain, permit: Permit) -> bytes:
    """What a token holder signs for an allowance."""
    return _digest(domain, _PERMIT_TYPES, _permit(permit))


def sign_permit(key: bytes, domain: Domain, permit: Permit) -> VRS:
    """Sign an allowance; *domain* is the token's."""
    return parts_of(sign_typed(key, permit_data(domain, permit)))


def move_digest(domain: Domain, move: Move) -> bytes:
    """What a publisher signs for another meter."""
    return _digest(domain, _MOVE_TYPES, _move(move))


def sign_move(key: bytes, domain: Domain, move: Move) -> bytes:
    """Sign a move with the publisher's key: 65 bytes."""
    return _sign(key, domain, _MOVE_TYPES, _move(move))


def voucher_digest(domain: Domain, voucher: Voucher) -> bytes:
    """What a publisher signs to lift the cap of one period."""
    return _digest(domain, _VOUCHER_TYPES, _voucher(voucher))


def sign_voucher(key: bytes, domain: Domain, voucher: Voucher) -> bytes:
    """Sign a voucher with the publisher's key: 65 bytes."""
    return _sign(key, domain, _VOUCHER_TYPES, _voucher(voucher))


def move_signer(domain: Domain, move: Move, signature: bytes) -> Address | None:
    """Whose signature of a move this is; None when it is none that the contract takes."""
    return signer_of(move_digest(domain, move), signature)


def usage_signer(domain: Domain, claim: UsageClaim, signature: bytes) -> Address | None:
    """Which meter signed a batch; None when it is no signature at all, and the contract reverts."""
    return signer_of(usage_digest(domain, claim), signature)


def _usage(claim: UsageClaim) -> dict[str, Any]:
    return {
        "owner": claim.owner,
        "root": claim.root,
        "words": claim.words,
        "refs": [{"publisher": ref.publisher, "salt": ref.salt} for ref in claim.refs],
    }


def _permit(permit: Permit) -> dict[str, Any]:
    return {
        "owner": permit.owner,
        "spender": permit.spender,
        "value": permit.value,
        "nonce": permit.nonce,
        "deadline": permit.deadline,
    }


def _move(move: Move) -> dict[str, Any]:
    return {
        "owner": move.owner,
        "salt": move.salt,
        "oldMeter": move.old_meter,
        "newMeter": move.new_meter,
        "from": move.from_,
        "upTo": move.up_to,
        "pay": move.pay,
        "asOf": move.as_of,
        "deadline": move.deadline,
    }


def _voucher(voucher: Voucher) -> dict[str, Any]:
    return {
        "owner": voucher.owner,
        "salt": voucher.salt,
        "meter": voucher.meter,
        "from": voucher.from_,
        "upTo": voucher.up_to,
        "most": voucher.most,
    }


def _digest(domain: Domain, types: _Types, message: Mapping[str, Any]) -> bytes:
    signable = encode_typed_data(domain.fields(), dict(types), dict(message))
    return keccak256(b"\x19" + signable.version + signable.header + signable.body)


def _sign(key: bytes, domain: Domain, types: _Types, message: Mapping[str, Any]) -> bytes:
    address_of(key)  # a bad key is reported in our words
    return signatures.sign(key, _digest(domain, types, message))
