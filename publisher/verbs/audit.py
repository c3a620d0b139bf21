# SPDX-License-Identifier: Apache-2.0
"""`audit`: recompute a pod's bill from leaves, chain and the client's own bounds, check by check."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trustedpods.contracts.records import Submission, meter_tag
from trustedpods.protocol.errors import NetworkFailure
from trustedpods.protocol.ids import Address, address_from_bytes
from trustedpods.protocol.messages.usage import UsageLeaf
from trustedpods.protocol.units import UnixSeconds
from trustedpods.publisher.context import state_dir
from trustedpods.publisher.core.audit import Finding, OnChain, UsageBounds
from trustedpods.publisher.core.audit import audit as check
from trustedpods.publisher.core.bill import Account, Bill, make_bill
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.locations import PodLocation
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.market.session import Session
from trustedpods.publisher.results.pods import AuditResult, VisitProgress
from trustedpods.publisher.state.usage_leaves import keep_leaves, load_leaves
from trustedpods.publisher.verbs.bill import claimed_of, events_of, report_of
from trustedpods.publisher.verbs.pods import visit

if TYPE_CHECKING:
    from trustedpods.publisher.core.cost import Shape


@dataclass(frozen=True, slots=True)
class Examined:
    """Every finding over *leaves* leaves, and the bill that was made of them."""

    findings: list[Finding]
    leaves: int
    bill: Bill


async def audit(
    account: MarketAccount, name: str, shape: "Shape | None", progress: VisitProgress, journal: Journal
) -> AuditResult:
    """Read all leaves of the pod's present channel, check everything that can be, and keep them."""
    async with visit(account, name, progress, journal, ended=True) as visited:
        examined = await examine(account, visited.session, visited.location, shape)
    return AuditResult(
        progress.visited(), tuple(examined.findings), examined.leaves, total=examined.bill.total
    )


async def examine(
    account: MarketAccount, session: Session, location: PodLocation, shape: "Shape | None"
) -> Examined:
    """The same for a provider that was attested just now, for whoever holds the session."""
    events = await events_of(account, location)
    report = await report_of(session, location, events.opened_at or UnixSeconds(0))
    tag = meter_tag(address_from_bytes(session.binding.meter))
    idle_mib = session.profile.least.idle_mib
    file = account.market.file
    billed = Account(file.chain_id, file.payments, location.ref.owner, location.ref.channel, location.terms)
    begun = events.opened_at or 0
    leaves = [leaf for leaf in report.leaves if leaf.up_to > begun]
    bill = make_bill(billed, report, events.opened_at)
    chain = OnChain(
        channel=location.channel,
        opened_at=events.opened_at,
        claimed=claimed_of(events, location),
        submissions={leaf.root: await _submitted(account, location.ref.owner, leaf) for leaf in leaves},
        meter_tag=tag,
    )
    kept = [
        leaf
        for leaf in load_leaves(state_dir(), location.ref.channel)
        if leaf.up_to > (events.opened_at or 0)
    ]
    bounds = None if shape is None else UsageBounds(shape, idle_mib)
    findings = check(billed, leaves, bill, chain, bounds, kept)
    keep_leaves(state_dir(), location.ref.channel, (leaf for leaf in leaves if chain.submissions[leaf.root]))
    return Examined(findings, len(leaves), bill)


async def _submitted(account: MarketAccount, owner: Address, leaf: UsageLeaf) -> list[Submission] | None:
    """Transactions that carried a leaf's batch, as the chain tells; None where it does not."""
    try:
        return await account.chain.submitted(owner, leaf.root)
    except NetworkFailure:
        return None
