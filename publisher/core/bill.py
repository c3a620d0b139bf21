# SPDX-License-Identifier: Apache-2.0
"""The bill, computed by the one who pays: from signed usage, the terms and the client's own bounds.

The provider says what was used; the contract holds the prices. Here every leaf is proved under
its batch's root, the periods must follow each other without a gap, and each amount is what the
contract pays for it, its rate cap included. What cannot be true is listed as a problem.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from trustedpods.contracts.merkle import leaf, verify
from trustedpods.contracts.records import Channel
from trustedpods.contracts.settlement import settle
from trustedpods.contracts.terms import MAX_DEPOSIT, Terms, due
from trustedpods.contracts.usage import ItemFlags, UsageItem
from trustedpods.protocol.ids import Address, ChannelId
from trustedpods.protocol.messages.usage import UsageLeaf, UsageReport
from trustedpods.protocol.units import TokenUnits, UnixSeconds, Usage

if TYPE_CHECKING:
    from trustedpods.publisher.core.cost import Shape

_METER = 0
"""Tag of the imaginary meter that the settlement is run with."""


@dataclass(frozen=True, slots=True)
class Account:
    """Whose bill it is: everything that a leaf binds but the period."""

    chain_id: int
    payments: Address
    owner: Address
    channel: ChannelId
    terms: Terms


@dataclass(frozen=True, slots=True)
class Line:
    """One period. `amount` is what the contract pays; `cut` says that the rate cap lowered it."""

    from_: UnixSeconds
    up_to: UnixSeconds
    usage: Usage
    amount: TokenUnits
    cut: bool
    root: bytes
    transaction: bytes | None


@dataclass(frozen=True, slots=True)
class Bill:
    """All periods, oldest first; `open_amount` is what has been used since the last one."""

    lines: tuple[Line, ...]
    open_usage: Usage
    open_amount: TokenUnits
    problems: tuple[str, ...]

    @property
    def total(self) -> TokenUnits:
        """What the signed periods cost, sent or not."""
        return TokenUnits(sum(line.amount for line in self.lines))

    @property
    def mined(self) -> TokenUnits:
        """The part whose transactions are known."""
        return TokenUnits(sum(line.amount for line in self.lines if line.transaction is not None))


def make_bill(
    account: Account, report: UsageReport, opened_at: UnixSeconds | None = None, shape: "Shape | None" = None
) -> Bill:
    """Check *report* and compute what it costs.

    *opened_at* is the block time at which the channel was opened (None if nobody remembers): there
    the first period begins, and what ended before it belongs to an earlier channel of this pod.
    With *shape*, quantities that so large a pod cannot have used in a period are problems.
    """
    problems: list[str] = []
    lines: list[Line] = []
    channel = None if opened_at is None else _channel(account, opened_at)
    for part in report.leaves:
        if opened_at is not None and part.up_to <= opened_at:
            continue
        item, name = _item(account, part), f"period {len(lines) + 1}"
        doubts = _doubts(account, part, item, shape)
        if channel is None:
            channel = _channel(account, item.from_)
        elif item.from_ != channel.up_to:
            doubts.append(f"begins at {item.from_}, and {channel.up_to} was due")
            channel = _channel(account, item.from_)
        problems += [f"{name}: {doubt}" for doubt in doubts]
        settled = settle(channel, item, _METER, item.up_to)
        channel = settled.channel
        lines.append(_line(part, item, settled.result.paid, settled.result.flags))
    open_usage = Usage(*report.open_usage)
    return Bill(tuple(lines), open_usage, due(open_usage, account.terms.prices), tuple(problems))


def _item(account: Account, part: UsageLeaf) -> UsageItem:
    return UsageItem(account.channel, UnixSeconds(part.from_), UnixSeconds(part.up_to), Usage(*part.usage))


def _channel(account: Account, opened_at: UnixSeconds) -> Channel:
    """A channel that never runs dry, as it stands at *opened_at*."""
    return Channel(account.channel, _METER, opened_at, MAX_DEPOSIT, account.terms)


def _doubts(account: Account, part: UsageLeaf, item: UsageItem, shape: "Shape | None") -> list[str]:
    doubts: list[str] = []
    hashed = leaf(account.chain_id, account.payments, account.owner, item)
    if not verify(part.root, hashed, part.proof):
        doubts.append("its proof does not lead to the batch's root")
    if item.up_to <= item.from_:
        doubts.append(f"ends at {item.up_to}, not after its begin at {item.from_}")
    elif shape is not None:
        doubts += _excess(shape, item)
    return doubts


def _excess(shape: "Shape", item: UsageItem) -> list[str]:
    """What is above the largest pod that was asked for, all of the period."""
    most = shape.awake(item.up_to - item.from_, shape.max_replicas)
    pairs = (
        ("CPU", item.usage.cpu_core_ms, most.cpu_core_ms, "core-ms"),
        ("memory", item.usage.memory_mib_s, most.memory_mib_s, "MiB-s"),
    )
    return [
        f"{name}: {used} {unit} billed, {bound} is the most that the pod can use"
        for name, used, bound, unit in pairs
        if used > bound
    ]


def _line(part: UsageLeaf, item: UsageItem, paid: TokenUnits, flags: ItemFlags) -> Line:
    return Line(
        from_=item.from_,
        up_to=item.up_to,
        usage=item.usage,
        amount=paid,
        cut=bool(flags & ItemFlags.CUT_CAP),
        root=part.root,
        transaction=part.transaction,
    )


def with_transactions(bill: Bill, mined: Mapping[bytes, bytes | None]) -> Bill:
    """The bill with the transactions that the chain shows for each root, not those that were told."""
    lines = tuple(replace(line, transaction=mined.get(line.root)) for line in bill.lines)
    return replace(bill, lines=lines)


def compare_with_chain(bill: Bill, claimed: TokenUnits | None) -> list[str]:
    """What does not agree with the chain: *claimed* is what left the channel, None if not known."""
    if claimed is None or claimed <= bill.total:
        return []
    return [f"{claimed} base units were claimed, and the signed usage costs {bill.total}"]
