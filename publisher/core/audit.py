# SPDX-License-Identifier: Apache-2.0
"""Whether a bill holds: every claim of the provider against the chain and the client's own bounds.

Nothing is taken from the provider's word but the leaves themselves, and each of those is proved
under a root that its transaction put on chain. What a client cannot know is said to be unknown,
never to be right.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trustedpods.contracts.merkle import leaf, verify
from trustedpods.contracts.records import Channel, Submission
from trustedpods.contracts.usage import ItemFlags, SubmissionResult, UsageItem
from trustedpods.protocol.messages.usage import UsageLeaf
from trustedpods.protocol.units import TokenUnits, UnixSeconds, Usage

if TYPE_CHECKING:
    from trustedpods.publisher.core.bill import Account, Bill, Line
    from trustedpods.publisher.core.cost import Shape

SHOWN = 5
"""Failures of one check that are spelt out; of more only the number is told."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: its stable name, whether it holds (None: cannot be known), and why."""

    check: str
    holds: bool | None
    detail: str


@dataclass(frozen=True, slots=True)
class OnChain:
    """What the chain itself says.

    `channel` is None when it has ended. `claimed` is what left it as pay, `opened_at` where its first
    period begins; None where the node remembers no events. `submissions` holds, for each root, the
    transactions that carried it; None: the node did not say. `meter_tag` is of the attested meter.
    """

    channel: Channel | None
    opened_at: UnixSeconds | None
    claimed: TokenUnits | None
    submissions: Mapping[bytes, Sequence[Submission] | None]
    meter_tag: int


@dataclass(frozen=True, slots=True)
class UsageBounds:
    """The client's own knowledge: the pod's size from its manifest, and the provider's idle floor."""

    shape: "Shape"
    idle_mib: int


def audit(
    account: "Account",
    leaves: Sequence[UsageLeaf],
    bill: "Bill",
    chain: OnChain,
    bounds: UsageBounds | None,
    kept: Sequence[UsageLeaf],
) -> list[Finding]:
    """Every check over the *leaves* of the present channel and the *bill* that was made of them.

    *kept* are leaves that this client was given before.
    """
    settled = [line for line in bill.lines if _is_settled(line, chain)]
    return [
        _proofs(account, leaves),
        _roots(settled, chain),
        _pay(account, settled, chain),
        _whole(bill.lines, chain),
        _sum(account, settled, chain),
        _meter(chain),
        _replicas(bill.lines, bounds),
        _storage(bill.lines, bounds),
        _traffic(bill.lines),
        _unchanged(leaves, kept),
    ]


def _is_settled(line: "Line", chain: OnChain) -> bool:
    """What the chain has taken; a period after that is only announced."""
    return chain.channel is None or line.up_to <= chain.channel.up_to


def _proofs(account: "Account", leaves: Sequence[UsageLeaf]) -> Finding:
    bad = [
        f"the leaf {_period(part)} does not lie under its batch's root"
        for part in leaves
        if not verify(part.root, _hash(account, part), part.proof)
    ]
    return _finding("proofs", bad, f"{len(leaves)} leaves lie under their batches' roots")


def _hash(account: "Account", part: UsageLeaf) -> bytes:
    period = UnixSeconds(part.from_), UnixSeconds(part.up_to)
    item = UsageItem(account.channel, *period, Usage(*part.usage))
    return leaf(account.chain_id, account.payments, account.owner, item)


def _roots(settled: Sequence["Line"], chain: OnChain) -> Finding:
    if any(chain.submissions.get(line.root) is None for line in settled):
        return Finding("roots", None, "the node does not tell which batches were claimed")
    bad = [
        f"the batch of {_period(line)} was never claimed on chain"
        for line in settled
        if not chain.submissions[line.root]
    ]
    return _finding("roots", bad, f"the roots of {len(settled)} settled periods are on chain")


def _pay(account: "Account", settled: Sequence["Line"], chain: OnChain) -> Finding:
    """Each item was paid what its leaf costs. Less is the provider's loss, and must be flagged."""
    bad = []
    for line in settled:
        result = _result(account, line, chain)
        if result is None:
            if chain.submissions.get(line.root):
                bad.append(f"no claim of its batch carried {_period(line)}")
        elif result.paid > line.amount:
            bad.append(f"{_period(line)} was paid {result.paid} base units, and costs {line.amount}")
        elif result.paid < line.amount and not result.flags & _CUT:
            bad.append(
                f"{_period(line)} was paid {result.paid} of {line.amount} base units, without a reason"
            )
    return _finding("pay", bad, "every settled period was paid what it costs at the channel's terms")


_CUT = ItemFlags.CUT_CAP | ItemFlags.CUT_DEPOSIT | ItemFlags.RELEASED


def _result(account: "Account", line: "Line", chain: OnChain) -> SubmissionResult | None:
    """What the contract answered for the period, in the transaction that settled it."""
    for one in chain.submissions.get(line.root) or ():
        for result in one.results:
            written = not result.flags.skipped or ItemFlags.RELEASED in result.flags
            if written and result.is_for(account.channel) and result.up_to == line.up_to:
                return result
    return None


def _whole(lines: Sequence["Line"], chain: OnChain) -> Finding:
    """The periods follow each other from the opening to where the chain stands."""
    if chain.opened_at is None:
        return Finding("whole", None, "the node does not tell when the channel was opened")
    bad, at = [], chain.opened_at
    for line in lines:
        if line.from_ != at:
            bad.append(f"{_period(line)} begins where {at} was due")
        at = line.up_to
    if chain.channel is not None and at < chain.channel.up_to:
        bad.append(f"the chain has settled up to {chain.channel.up_to}, the leaves tell up to {at}")
    return _finding("whole", bad, "the periods follow each other from the channel's opening on")


def _sum(account: "Account", settled: Sequence["Line"], chain: OnChain) -> Finding:
    if chain.claimed is None:
        return Finding("sum", None, "the node does not tell what was paid into the channel")
    results = [_result(account, line, chain) for line in settled]
    told = sum(result.paid for result in results if result is not None)
    bad = [f"{chain.claimed} base units left the channel, and the leaves account for {told}"]
    return _finding(
        "sum", bad if told != chain.claimed else [], "the leaves account for all that was claimed"
    )


def _meter(chain: OnChain) -> Finding:
    if chain.channel is None:
        return Finding("meter", None, "the channel has ended and names no meter any more")
    ours = chain.channel.meter_tag == chain.meter_tag
    bad = ["another key than the attested meter may claim from the channel"]
    return _finding("meter", [] if ours else bad, "only the attested meter may claim from the channel")


def _replicas(lines: Sequence["Line"], bounds: UsageBounds | None) -> Finding:
    """CPU and memory: at most all replicas, at their full request, all of the period's chain time."""
    if bounds is None:
        return Finding("replicas", None, "give the pod's manifest to bound CPU and memory")
    bad = []
    for line in lines:
        most = bounds.shape.awake(line.up_to - line.from_, bounds.shape.max_replicas)
        for name, used, bound, unit in (
            ("CPU", line.usage.cpu_core_ms, most.cpu_core_ms, "core-ms"),
            ("memory", line.usage.memory_mib_s, most.memory_mib_s, "MiB-s"),
        ):
            if used > bound:
                bad.append(f"{_period(line)}: {used} {unit} of {name}, {bound} is the most possible")
    count = bounds.shape.max_replicas
    return _finding("replicas", bad, f"CPU and memory are within {count} replicas at their full request")


def _storage(lines: Sequence["Line"], bounds: UsageBounds | None) -> Finding:
    """Volumes and images, at least the idle floor, and all replicas' scratch, for the period's chain time."""
    if bounds is None:
        return Finding("storage", None, "give the pod's manifest to bound volumes, images and scratch")
    held = bounds.shape.awake(1, bounds.shape.max_replicas, bounds.idle_mib).storage_mib_s
    bad = [
        f"{_period(line)}: {line.usage.storage_mib_s} MiB-s stored, {held} MiB is all that there is"
        for line in lines
        if line.usage.storage_mib_s > held * (line.up_to - line.from_)
    ]
    return _finding("storage", bad, f"storage is within the {held} MiB of volumes, images and scratch")


def _traffic(lines: Sequence["Line"]) -> Finding:
    out = sum(line.usage.egress_kib for line in lines)
    into = sum(line.usage.ingress_kib for line in lines)
    return Finding("traffic", None, f"{out} KiB out and {into} KiB in: only the provider counted them")


def _unchanged(leaves: Sequence[UsageLeaf], kept: Sequence[UsageLeaf]) -> Finding:
    """What was told once is told again: a settled leaf must not change afterwards."""
    now = {(part.root, part.from_): part for part in leaves}
    bad = []
    for before in kept:
        after = now.get((before.root, before.from_))
        if after is None:
            bad.append(f"the leaf {_period(before)} was delivered before and is missing now")
        elif (after.up_to, after.usage) != (before.up_to, before.usage):
            bad.append(f"the leaf {_period(before)} was delivered before with other numbers")
    return _finding("unchanged", bad, f"{len(kept)} leaves that were delivered before are the same")


def _finding(check: str, bad: Iterable[str], good: str) -> Finding:
    found = list(bad)
    if not found:
        return Finding(check, True, good)
    more = f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return Finding(check, False, "; ".join(found[:SHOWN]) + more)


def _period(part: "UsageLeaf | Line") -> str:
    return f"{part.from_}-{part.up_to}"
