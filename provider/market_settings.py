# SPDX-License-Identifier: Apache-2.0
"""The table `[market]` of `provider.toml`: which chain, which contracts, and which nodes are asked."""

from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from trustedpods.contracts.records import Market
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.ids import Address, parse_address


def _address(text: str) -> Address:
    try:
        return parse_address(text)
    except BadInput as bad:
        raise ValueError(bad.what) from None


ConfiguredAddress = Annotated[str, AfterValidator(_address)]

MOST_OTHER_NODES = 6
"""Each read is asked of all: more cost requests, and show no more."""


class MarketSection(BaseModel):
    """Which chain and which contracts; the token is the one that the payment contract holds.

    With `other_rpcs` what money depends on is believed when `rpc_agree` of all nodes say the same: more than
    half where it is absent, 1 where they only stand in for each other.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    rpc: str
    other_rpcs: Annotated[
        list[Annotated[str, Field(pattern=r"^https?://")]], Field(max_length=MOST_OTHER_NODES)
    ] = []
    rpc_agree: Annotated[int, Field(ge=1, le=1 + MOST_OTHER_NODES)] | None = None
    chain_id: Annotated[int, Field(ge=1)]
    payments: ConfiguredAddress
    registry: ConfiguredAddress
    token: ConfiguredAddress
    finality_blocks: Annotated[int, Field(ge=0, le=1000)] = 0

    @model_validator(mode="after")
    def _one_truth(self) -> Self:
        """Two answers that both have enough nodes behind them must not be."""
        many, agree = len(self.rpcs), self.rpc_agree
        if len({url.rstrip("/").lower() for url in self.rpcs}) != many:
            raise ValueError("other_rpcs: a node stands there twice, and would agree with itself")
        if agree is not None and not (agree == 1 or many < 2 * agree <= 2 * many):
            raise ValueError(f"rpc_agree: of {many} nodes {many // 2 + 1} to {many} must agree, or 1")
        return self

    @property
    def rpcs(self) -> list[str]:
        """All nodes of the chain."""
        return [self.rpc, *self.other_rpcs]

    @property
    def market(self) -> Market:
        """The same as the chain's client takes it; `rpc` is no part of it."""
        return Market(
            chain_id=self.chain_id,
            payments=Address(self.payments),
            registry=Address(self.registry),
            token=Address(self.token),
            finality_blocks=self.finality_blocks,
        )
