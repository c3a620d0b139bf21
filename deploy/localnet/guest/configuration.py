# SPDX-License-Identifier: Apache-2.0
"""What the operator says of his machine: the JSON text that came on the configuration disk.

Only what stands here can be said. Everything else of `provider.toml` is the image's, and so measured.
"""

from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationError

from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.images.strict_json import parse_object
from trustedpods.protocol.messages.base import U32
from trustedpods.protocol.messages.provider import Prices
from trustedpods.protocol.whole_file import read_whole
from trustedpods.provider.config import Section, TermsSection
from trustedpods.provider.market_settings import ConfiguredAddress, MarketSection
from trustedpods.provider.tee.setting import signer_outside

MAX_BYTES = 64 * 1024
"""The same bound as init's, which read it from the disk."""

OCTET = 201
"""The guest's own addresses are in 10.201.0.0/16, which the card's network must not touch."""

_OWN_NETWORKS = (IPv4Network(f"10.{OCTET}.0.0/16"), IPv4Network("127.0.0.0/8"))


def _address(text: str) -> str:
    return str(IPv4Address(text))


def _interface(text: str) -> str:
    found = IPv4Interface(text)
    for own in _OWN_NETWORKS:
        if found.network.overlaps(own):
            raise ValueError(f"the card's network overlaps {own}, which is the guest's own")
    return str(found)


def _tee(text: str) -> str:
    if text not in ("none", "hardware") and signer_outside(text) is None:
        raise ValueError("none, hardware, or simulated:ADDRESS:PORT with an IPv4 address")
    return text


class NetworkSection(Section):
    """The machine's one network card: its address with the length of its network, the way out, a resolver."""

    address: Annotated[str, AfterValidator(_interface)]
    gateway: Annotated[str, AfterValidator(_address)]
    nameserver: Annotated[str, AfterValidator(_address)]


class OperatorSection(Section):
    """Who offers the machine. `operator_key` (0x and 64 hex digits) pays gas and can take nothing.

    `tee`: evidence that a signer outside simulates counts only for publishers of that signer's localnet.
    """

    owner: ConfiguredAddress
    daemon: U32
    operator_key: Annotated[str, Field(pattern=r"^0x[0-9a-f]{64}$", repr=False)]
    tee: Annotated[str, AfterValidator(_tee)] = "hardware"
    trust: Literal["sealed", "open"] = "sealed"
    region: Annotated[str, Field(max_length=64)] = ""
    domain: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=200)]
    url_suffix: Annotated[str, Field(pattern=r"^(:[0-9]{1,5})?$")] = ""
    announce: Annotated[tuple[str, ...], Field(max_length=8)] = ()

    @property
    def signer(self) -> IPv4Address | None:
        """Where the daemon has its evidence simulated, which nothing else may reach."""
        found = signer_outside(self.tee)
        return None if found is None else found[0]


class GuestConfiguration(Section):
    """The whole text."""

    version: Literal[1]
    network: NetworkSection
    operator: OperatorSection
    market: MarketSection
    prices: Prices
    terms: TermsSection = TermsSection()


def read_configuration(path: Path) -> GuestConfiguration:
    """The configuration in the file; BadInput names the first mistake and never repeats a value.

    A key that stands there twice is a mistake: who looks at the text would see the one, we use the other.
    """
    text = read_whole(path, MAX_BYTES, "the configuration")
    parse_object(text, "the configuration")
    try:
        return GuestConfiguration.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_input=False, include_context=False, include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise BadInput(first["msg"].removeprefix("Value error, "), where=f"configuration: {key}") from None
