# SPDX-License-Identifier: Apache-2.0
"""What was found on this machine, in its cluster and in the market, before anything is decided. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Literal

from trustedpods.contracts.records import Market
from trustedpods.contracts.registry_rows import RegistryRow
from trustedpods.protocol.units import Resources
from trustedpods.provider.setup.market_prices import MarketPrices


@dataclass(frozen=True, slots=True)
class ClusterFound:
    """A cluster that answered by the kubeconfig at that path.

    `nodes` are those that take pods, with what each has free. `addresses` are all that nodes have.
    `user_namespaces`: all nodes say that they can give pods user ids of their own.
    """

    kubeconfig: str
    version: str
    nodes: Mapping[str, Resources]
    allocatable: Resources
    free: Resources
    storage_classes: tuple[str, ...]
    ingress_classes: tuple[str, ...]
    addresses: tuple[str, ...] = ()
    user_namespaces: bool = False


@dataclass(frozen=True, slots=True)
class MachineFound:
    """`tee`: what the kernel offers. `address`: this machine's own, on its way to the world.

    `taken`: ports of ours, each with what it is for, at which somebody else listens.
    """

    tee: Literal["sev-snp", "tdx"] | None
    address: str | None
    taken: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class MarketFound:
    """The market's contracts and token, and what comparable providers ask; None: there is none."""

    market: Market
    symbol: str
    decimals: int
    asked: MarketPrices | None


@dataclass(frozen=True, slots=True)
class OwnerFound:
    """What the chain has of the owner's: the row, and whether the operator's key is named in both contracts.

    `operator_wei` is the coin that it holds for gas, `gas_price` what a unit of gas costs now, both in wei.
    """

    row: RegistryRow | None
    operator_named: bool
    operator_wei: int
    gas_price: int


def is_public(address: str | None) -> bool:
    """Whether the world could reach a machine at this IPv4 address."""
    return address is not None and IPv4Address(address).is_global
