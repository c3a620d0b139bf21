# SPDX-License-Identifier: Apache-2.0
"""`network plan` and `network apply`: from a file to nodes that serve, under all leases."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace

from trustedpods.contracts.registry_rows import RegistryRow
from trustedpods.protocol.ids import Address, address_from_bytes
from trustedpods.protocol.networks.history import arguments
from trustedpods.publisher.core.networks.copies import Equal, compare
from trustedpods.publisher.core.networks.history import DONE
from trustedpods.publisher.core.networks.owners.missing import held_back
from trustedpods.publisher.core.networks.plan import Plan, WantedNode, only, plan_of, signed_changes
from trustedpods.publisher.core.networks.planning.outlook import (
    identity_states,
    outlook,
    tunnels,
    with_beginnings,
    with_kept,
    with_stopped,
)
from trustedpods.publisher.core.networks.planning.placing import hour_of, named, placed
from trustedpods.publisher.core.networks.planning.replacing import (
    ChosenBackup,
    Replacing,
    check_agreed,
    lost_nodes,
)
from trustedpods.publisher.core.networks.probes import of_nodes
from trustedpods.publisher.core.select import Choice
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.networks.clusters import NetworkClusters
from trustedpods.publisher.networks.recording import recorded
from trustedpods.publisher.networks.states import MemberView, read_state
from trustedpods.publisher.results.networks import ApplyResult, NetworkId, PlanResult
from trustedpods.publisher.results.pods import StatusResult
from trustedpods.publisher.verbs.deploy import DeployOptions
from trustedpods.publisher.verbs.networks.applying import Applying, NodePods, view_of
from trustedpods.publisher.verbs.networks.documents.changing import clusters_told
from trustedpods.publisher.verbs.networks.files import NetworkFile
from trustedpods.publisher.verbs.networks.nodes import MarketPods
from trustedpods.publisher.verbs.networks.opening import choices_of, counting, opened_whole
from trustedpods.publisher.verbs.networks.owners.linked import with_links
from trustedpods.publisher.verbs.networks.status import AskPod, asking, live_nodes
from trustedpods.publisher.verbs.networks.whole.probes import all_hold
from trustedpods.publisher.verbs.networks.whole.replacing import backups_for, beginnings
from trustedpods.publisher.verbs.offers.planned import deploy_keeps


@dataclass(frozen=True, slots=True)
class ApplyOptions:
    """What the command line says beside the file.

    `known` are the providers of clusters, by name; `said` is the command as history keeps it. `pods` is
    how nodes are deployed and removed, by default in the market; with `purge` volumes go with their node.
    With `only` nothing is changed but the nodes that it names. Nodes of lost clusters come anew with
    `replacing`, else that is refused.
    """

    known: Mapping[str, Choice]
    wait_s: float = 0.0
    deploy: DeployOptions = field(default_factory=DeployOptions)
    said: tuple[tuple[str, str], ...] = ()
    pods: Callable[[MarketAccount, NetworkFile], NodePods] | None = None
    purge: bool = False
    only: tuple[str, ...] = ()
    replacing: Replacing | None = None


async def plan(
    account: MarketAccount,
    file: NetworkFile,
    known: Mapping[str, Choice],
    journal: Journal,
    ask: AskPod | None = None,
    store: str | None = None,
) -> PlanResult:
    """What an apply of *file* would do now. No lease is needed, and a viewer may ask.

    Of the asker's own nodes it says which are stopped and which run on, as their providers tell, or *ask*; of
    those that were lost what they begin with, by backups in *store*.
    Raises what `plan_of` raises for the asker, but not for a viewer's role.
    """
    network = NetworkId(file.network.founder, file.network.name)
    async with opened_whole(account, file.network, known, journal) as clusters:
        view = counting(account, file.network, await clusters.read())
    file = with_links(file, view.content)
    rows = await rows_of_state(account, view)
    nodes = placed(file.nodes, view.content, rows)
    made = _plan(view, file, nodes, account.publisher.address, looking=True)
    shapes = {node.name: node.shape for node in file.nodes}
    costs = {one.name: hour_of(shapes[one.name], rows[one.cluster]) for one in nodes if one.cluster in rows}
    known_by = identity_states(file.manifests, view.content.addresses)
    made, held = held_back(made, nodes, file.callers_of_missing)
    _tell_missing(file, journal)
    whole = outlook(made, nodes, costs, known_by, {step.node for step in held})
    there = [one for one in view.content.components if one.name in shapes]
    live = await live_nodes(account, file.network, there, ask or asking(account, journal))
    told = {name: one for name, one in live.items() if isinstance(one, StatusResult)}
    whole = with_stopped(whole, {name for name, one in told.items() if one.parked_at})
    kept = {name for name, one in told.items() if deploy_keeps(account, file.pods[name], one, journal)}
    whole = with_kept(whole, made, kept)
    lost, named_pods = lost_nodes(made, view.content), {name: pod.name for name, pod in file.pods.items()}
    begins = await beginnings(account, named_pods, lost, file.manifests, store)
    whole = with_beginnings(whole, begins)
    ends = tunnels(file.manifests)
    return PlanResult(network, made, view.document.generation, whole, account.token, ends)


async def apply(
    account: MarketAccount, file: NetworkFile, options: ApplyOptions, journal: Journal
) -> ApplyResult:
    """Bring the network to what *file* says, and see that it works; killed anywhere, the next apply goes on.

    The file's probes at own nodes are asked when all is done, and nobody's lease is held. Raises Refused
    (rules `role`, `publisher`, `clusters`, `no-network`, `not-agreed`, `lost-nodes`, `network-probe`, and as
    `backups_for`), Locked, CopiesDiffer, NetworkFailure, and what the deploy or delete of a node raises, with
    the node named; EvidenceRefused where a probe's provider does not prove itself.
    """
    done, view = await _brought(account, file, options, journal)
    if options.only or not file.probes:
        return done
    who = account.publisher.address
    own = {one.name for one in view.content.components if address_from_bytes(one.publisher) == who}
    for probe in file.probes:
        if probe.node not in own:
            text = f"probe {probe.name} at node {probe.node} is not asked: another member deployed that"
            journal.event("probe", text)
    journal.if_interrupted = "the nodes are as the file says; the same command again asks its probes"
    pods = _pods(account, file, options, {}, journal)
    return replace(done, probes=await all_hold(pods, of_nodes(file.probes, own), journal))


async def _brought(
    account: MarketAccount, file: NetworkFile, options: ApplyOptions, journal: Journal
) -> tuple[ApplyResult, MemberView]:
    """What was done, and the network afterwards."""
    publisher = account.publisher
    network = NetworkId(file.network.founder, file.network.name)
    async with AsyncExitStack() as stack:
        clusters = await stack.enter_async_context(
            opened_whole(account, file.network, options.known, journal)
        )
        if (same := await _unchanged(account, file, options, clusters)) is not None:
            journal.event("plan", "0 to change")
            return same
        held = await stack.enter_async_context(
            clusters.locked(f"network apply {file.network.name}", options.wait_s)
        )
        if held.rolled_forward:
            journal.show.line("a change that another command had begun was brought to its end first")
        said = arguments([*options.said, *clusters_told(options.known, clusters)])
        change = await stack.enter_async_context(
            recorded(held, publisher, file.network, "network apply", said)
        )
        view = view_of(change)
        file = with_links(file, view.content)
        made, nodes = await _wanted(account, file, options, view)
        if made.changes:
            view.read.writable()
        journal.event("plan", f"{made.changes} to change")
        made, waiting = held_back(made, nodes, file.callers_of_missing)
        backups = await _backups(account, file, made, view, options, journal)
        pods = _pods(account, file, options, backups, journal)
        untouched = frozenset(file.callers_of_missing)
        applying = Applying(
            publisher.address, change, pods, journal, file.manifests, file.external, file.others, untouched
        )
        if made.members:
            members = file.members or ()
            at = int(time.time())
            changes = signed_changes(publisher.key, view.roster, made.members, members, at)
            cards = [one.card for one in members if one.card is not None]
            await applying.members(changes, cards, None if made.nodes else DONE)
        await applying.nodes(made.nodes, nodes)
        _tell_missing(file, journal)
        if waiting:
            raise next(iter(file.missing.values())).error
        view = view_of(change)
        return ApplyResult(network, made, view.document.generation, dict(applying.urls)), view


def _tell_missing(file: NetworkFile, journal: Journal) -> None:
    """Say of each node that calls one which its owner does not name any more that it was left as it is."""
    for node, gone in file.callers_of_missing.items():
        journal.show.warning(
            f"node {node} calls {gone.name}, of which {gone.owner} tells no more: it is left as it is"
        )


async def _unchanged(
    account: MarketAccount, file: NetworkFile, options: ApplyOptions, clusters: NetworkClusters
) -> tuple[ApplyResult, MemberView] | None:
    """The result, and the network, where all copies are equal and as the file says.

    Then no lease is taken, and nothing written. None too where nodes call each other: they are told the
    newest addresses, one command after another.
    """
    if any(pod.manifest.spec.network.calls for pod in file.pods.values()):
        return None
    copies = compare(await clusters.all_copies())
    if not isinstance(copies, Equal):
        return None
    view = read_state(account.publisher, file.network, copies.document)
    made, _ = await _wanted(account, file, options, view)
    if made.changes:
        return None
    with_links(file, view.content)
    network = NetworkId(file.network.founder, file.network.name)
    return ApplyResult(network, made, view.document.generation, {}), view


async def _wanted(
    account: MarketAccount, file: NetworkFile, options: ApplyOptions, view: MemberView
) -> tuple[Plan, tuple[WantedNode, ...]]:
    """What is to be done to the network in state *view*, and all nodes of the file in their clusters."""
    nodes = placed(file.nodes, view.content, await rows_of_state(account, view))
    made = _plan(view, file, nodes, account.publisher.address)
    if options.only:
        made = only(made, named(file.nodes, options.only))
    return made, nodes


async def _backups(
    account: MarketAccount,
    file: NetworkFile,
    made: Plan,
    view: MemberView,
    options: ApplyOptions,
    journal: Journal,
) -> Mapping[str, ChosenBackup]:
    """What nodes begin with that wait for a backup. Refused (rule `lost-nodes`) where nobody agreed to it."""
    lost = lost_nodes(made, view.content)
    check_agreed(lost, replace=options.replacing is not None)
    if options.replacing is None:
        return {}
    names = {name: pod.name for name, pod in file.pods.items()}
    empty, store = named(file.nodes, options.replacing.empty, "--empty"), options.replacing.store
    return await backups_for(account, names, made, lost, file.manifests, store, journal, empty)


def _pods(
    account: MarketAccount,
    file: NetworkFile,
    options: ApplyOptions,
    backups: Mapping[str, ChosenBackup],
    journal: Journal,
) -> NodePods:
    if options.pods is not None:
        return options.pods(account, file)
    outside = tuple(name for name in file.external if name not in file.linked)
    theirs = frozenset({*file.linked, *file.others})
    return MarketPods(
        account, file.network, file.pods, options.deploy, journal, options.purge, outside, theirs, backups
    )


def _plan(
    view: MemberView, file: NetworkFile, nodes: Sequence[WantedNode], who: Address, *, looking: bool = False
) -> Plan:
    return plan_of(view.content, view.roster, nodes, file.members, who, looking=looking)


async def rows_of_state(account: MarketAccount, view: MemberView) -> dict[str, RegistryRow]:
    """The registry's row of each cluster that is not lost; one whose provider has left it is left out."""
    rows = await account.market.rows()
    found = {
        name: [row for row in rows if one.matches(row)] for name, one in choices_of(view.content).items()
    }
    return {name: matching[0] for name, matching in found.items() if len(matching) == 1}
