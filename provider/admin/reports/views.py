# SPDX-License-Identifier: Apache-2.0
"""Questions and answers of the admin socket on earnings and offers; money is base units in decimal text."""

from typing import Literal

from pydantic import Field

from trustedpods.provider.admin.views import AdminRequest, GasTodayView, View
from trustedpods.provider.core.earnings.sums import GroupedBy
from trustedpods.provider.core.placement.explained import OfferState

MAX_SECONDS = 2**40
"""Far beyond every date that a calendar has a use for."""


class EarningsRequest(AdminRequest):
    """What was earned from *since* up to *until* (Unix seconds)? With *chain* the contract's events count.

    Not *exact*, what is not claimed yet is told as it was last computed of each pod, some minutes ago: the
    ledgers of a thousand pods are not read for it.
    """

    verb: Literal["earnings"] = "earnings"
    by: GroupedBy = Field(default=GroupedBy.DAY, strict=False)
    since: int | None = Field(default=None, ge=0, le=MAX_SECONDS)
    until: int | None = Field(default=None, ge=0, le=MAX_SECONDS)
    chain: bool = False
    exact: bool = True


class EarnedView(View):
    """One row; `gas_wei` is None where gas belongs to no row."""

    key: str
    paid: str
    items: int
    gas_wei: str | None


class OwnerTotalsView(View):
    """What the contract's events say of the owner, over all of his daemons.

    `whole` says whether credited less withdrawn is what the contract owes: else the node forgot events.
    """

    credited: str
    withdrawn: str
    claims: int
    whole: bool


class Earnings(View):
    """What a provider earned.

    `paid`, `items` and `gas_wei` are sums of the time that was asked for. `out` is claimed and not final, at
    most so much; `unclaimed` was used since. `withdrawable` is what the contract owes the owner. These three
    are of now; None where the chain did not say. `fees_unknown` claims are in no `gas_wei`.
    """

    token: str | None
    decimals: int | None
    by: GroupedBy
    rows: list[EarnedView]
    paid: str
    items: int
    gas_wei: str
    fees_unknown: int
    out: str
    claims_out: int
    unclaimed: str
    withdrawable: str | None
    chain: OwnerTotalsView | None
    trouble: str | None
    gas_today: GasTodayView | None = None


class OffersRequest(AdminRequest):
    """What does the provider advertise, and why?"""

    verb: Literal["offers"] = "offers"


class OfferView(View):
    """One capability; see `core.placement.explained` for what each state says."""

    kind: str
    name: str
    state: OfferState
    why: str


class Offers(View):
    """All capabilities, and whether the registry row names this profile; None where the chain did not say."""

    offers: list[OfferView]
    row_current: bool | None
    row: str
