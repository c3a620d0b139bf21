# SPDX-License-Identifier: Apache-2.0
"""Names of things: addresses, pods, channels, namespaces, host labels.

A pod's salt comes from the publisher's key, the daemon's number and the pod's name, so the same
`deploy` meets the same channel again, from any machine that holds the key, and nobody else can
enumerate or guess it.
"""

import hashlib
import hmac
from base64 import b32encode
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NewType

from Crypto.Hash import keccak as _keccak

from trustedpods.protocol.errors import BadInput

Address = NewType("Address", str)
"""An Ethereum address: EIP-55 checksummed hex with 0x."""

ChannelId = NewType("ChannelId", int)
"""The low 192 bits of keccak256(abi.encode(owner, publisher, salt))."""

CHANNEL_ID_BITS = 192
CHANNEL_BYTES = CHANNEL_ID_BITS // 8
ADDRESS_BYTES = 20
SALT_BYTES = 32

_SALT_TAG = b"trusted-pods/pod-salt/v1\0"
_LABEL_TAG = b"trusted-pods/host-label/v1\0"
_KNOWN_IDS = 512
"""Ids kept: one pod asks several times in a row, and a record keeps its own."""

_KNOWN_LABELS = 2048
"""Labels kept, as ids are. More would be memory of pods that are gone, growing for a year."""

_LABEL_LENGTH = 12  # 60 bits: no collision among a provider's pods, and short enough to read


def keccak256(data: bytes) -> bytes:
    """Ethereum's hash (the original Keccak padding, not SHA3-256)."""
    return _keccak.new(data=data, digest_bits=256).digest()


def address_from_bytes(raw: bytes) -> Address:
    """Checksummed form of 20 raw bytes (EIP-55)."""
    if len(raw) != ADDRESS_BYTES:
        raise BadInput(f"an address has {ADDRESS_BYTES} bytes, not {len(raw)}")
    digits = raw.hex()
    mask = keccak256(digits.encode()).hex()
    return Address(
        "0x" + "".join(d.upper() if int(m, 16) > 7 else d for d, m in zip(digits, mask, strict=False))
    )


def parse_address(text: str) -> Address:
    """Checksummed form of an address as people write it; a wrong checksum is refused."""
    digits = text.removeprefix("0x")
    try:
        raw = bytes.fromhex(digits)
    except ValueError:
        raise BadInput(f"not an address: {text!r}") from None
    address = address_from_bytes(raw)
    mixed_case = digits not in (digits.lower(), digits.upper())
    if mixed_case and address != "0x" + digits:
        raise BadInput(f"wrong checksum in address {text}", hint="copy it again, or write it in lower case")
    return address


def address_bytes(address: Address) -> bytes:
    """The 20 raw bytes of an address."""
    return bytes.fromhex(address[2:])


@dataclass(frozen=True, slots=True)
class PodRef:
    """What a channel's id is made of; whoever knows it can prove who may command the pod."""

    owner: Address
    publisher: Address
    salt: bytes
    channel: ChannelId = field(init=False, repr=False, compare=False)
    """The id under which the payment contract keeps this pod's channel; asked for very often."""
    label: str = field(init=False, repr=False, compare=False)
    """Its `host_label`, which a provider asks for at every turn for each of its pods."""

    def __post_init__(self) -> None:
        """Compute what everybody asks for once."""
        channel = _channel_id(self.owner, self.publisher, self.salt)
        object.__setattr__(self, "channel", channel)
        object.__setattr__(self, "label", host_label(channel))


@lru_cache(_KNOWN_IDS)
def _channel_id(owner: Address, publisher: Address, salt: bytes) -> ChannelId:
    encoded = address_bytes(owner).rjust(32, b"\0") + address_bytes(publisher).rjust(32, b"\0") + salt
    return ChannelId(int.from_bytes(keccak256(encoded), "big") % (1 << CHANNEL_ID_BITS))


def pod_salt(secret: bytes, daemon: int, name: str) -> bytes:
    """Salt of the pod *name* on daemon number *daemon*; *secret* is derived from the key."""
    message = _SALT_TAG + daemon.to_bytes(4, "big") + name.encode()
    return hmac.digest(secret, message, "sha256")


def channel_hex(channel: ChannelId) -> str:
    """48 hex digits: how a channel id is printed and used as a key."""
    return f"{channel:048x}"


def channel_bytes(channel: ChannelId) -> bytes:
    """The 24 bytes of a channel id, big-endian: how it is sent, signed and kept."""
    return channel.to_bytes(CHANNEL_BYTES, "big")


def channel_from_bytes(raw: bytes) -> ChannelId:
    """The channel id that `channel_bytes` wrote; `BadInput` for another length."""
    if len(raw) != CHANNEL_BYTES:
        raise BadInput(f"a channel id has {CHANNEL_BYTES} bytes, not {len(raw)}")
    return ChannelId(int.from_bytes(raw, "big"))


@lru_cache(_KNOWN_LABELS)
def host_label(channel: ChannelId) -> str:
    """The DNS label of a pod: says nothing of its publisher or its name."""
    digest = hashlib.sha256(_LABEL_TAG + channel_bytes(channel)).digest()
    return "p" + b32encode(digest).decode().lower()[: _LABEL_LENGTH - 1]


def namespace_name(channel: ChannelId, generation: int) -> str:
    """Kubernetes namespace of one life of a pod; a name is never used for a second life."""
    return f"tp-{host_label(channel)}-{generation:x}"
