# SPDX-License-Identifier: Apache-2.0
"""Answers of the verbs on money."""

from typing import Literal, NotRequired, TypedDict

from trustedpods.publisher.output.answers.parts import (
    ChannelJson,
    OutcomeJson,
    TransactionJson,
    UsageJson,
)
from trustedpods.publisher.output.answers.pods import VisitedJson
from trustedpods.publisher.output.answers.words import (
    BaseUnits,
    ChannelText,
    ProviderName,
    Tokens,
    TransactionHash,
    UnixTime,
)


class FundJson(ChannelJson, TransactionJson):
    """What was paid into the pod's channel, which is told as it stands afterwards."""

    pod: str
    paid: Tokens


class ReturnedJson(TypedDict, total=False):
    """What went to the payer, where that was asked for."""

    returned: Tokens
    returned_tx: TransactionHash


class WithdrawJson(TransactionJson, ReturnedJson):
    """What the contract owed the address, and paid."""

    publisher: str
    token: str
    paid: Tokens


class ClosedChannelJson(OutcomeJson):
    """One channel under the pod's name, and what became of it."""

    provider: ProviderName
    channel: ChannelText


class CloseJson(TypedDict):
    """Every channel under the pod's name. `gone`: the last of them had ended before."""

    pod: str | None
    token: str
    channels: list[ClosedChannelJson]
    gone: NotRequired[Literal[True]]


class ClosingJson(TypedDict, total=False):
    """The channels that were seen to so far."""

    pod: str | None
    token: str
    channels: list[ClosedChannelJson]


class GoneJson(ChannelJson):
    """A pod that had ended before: where it was, and what became of its deposit then."""

    pod: str
    publisher: str
    money: OutcomeJson
    gone: Literal[True]


class ChannelBalanceJson(TypedDict):
    """A channel: open, unlocking, or closed with what came back where the node remembers it.

    It was opened with `deposit`; with all that was added later `paid_in` went in.
    """

    channel: ChannelText
    name: str | None
    owner: str
    deposit: Tokens
    paid_in: Tokens
    opened_tx: TransactionHash | None
    state: Literal["open", "unlocking", "closed"]
    left: NotRequired[Tokens]
    unlock_at: NotRequired[UnixTime | None]
    refund: NotRequired[Tokens]
    refund_units: NotRequired[BaseUnits]
    tx: NotRequired[TransactionHash]


class BalanceJson(TypedDict):
    """The address, its tokens, its coin for gas in wei, what the contract owes it, and its channels."""

    publisher: str
    token: str
    balance: Tokens
    balance_units: BaseUnits
    gas_wei: BaseUnits
    owed: Tokens
    channels: list[ChannelBalanceJson]


FromTimePart = TypedDict("FromTimePart", {"from": UnixTime})
"""A field whose name is a word of Python's."""


class LineJson(FromTimePart, UsageJson):
    """One period: what was used and what the contract pays for it. `cut`: the rate cap lowered it."""

    up_to: UnixTime
    amount: Tokens
    amount_units: BaseUnits
    cut: bool
    root: str
    tx: TransactionHash | None


class BillPart(TypedDict):
    """Periods that were signed, oldest first, and what was used since (`open`)."""

    lines: list[LineJson]
    total: Tokens
    total_units: BaseUnits
    open_usage: UsageJson
    open: Tokens
    open_units: BaseUnits


class BillJson(VisitedJson, BillPart):
    """What the pod cost. `problems`: what does not agree; `claimed`: null where nobody remembers it."""

    claimed: Tokens | None
    claimed_units: BaseUnits | None
    problems: list[str]


class DayJson(TypedDict):
    """A day (its first second, UTC): what was used, and its cost."""

    begins: UnixTime
    usage: UsageJson
    amount: Tokens


class PodUsageJson(TypedDict):
    """What the pod used by day; `month` is 30 days at that rate, `open` came after the last signed period."""

    pod: str
    days: list[DayJson]
    total: Tokens
    open: Tokens
    month: Tokens | None
    problems: list[str]


class FindingJson(TypedDict):
    """One check: whether it holds (null: cannot be known), and why."""

    check: str
    holds: bool | None
    detail: str


class AuditJson(VisitedJson):
    """Every check over so many signed leaves, and what they cost."""

    leaves: int
    total: Tokens
    total_units: BaseUnits
    checks: list[FindingJson]
    holds: bool
