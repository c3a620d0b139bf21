# SPDX-License-Identifier: Apache-2.0
"""`state show`, `state compare`, `state repair`: the copies of a network's document beside each other."""

from collections.abc import Iterable

from trustedpods.protocol.errors import BadInput, TrustedPodsError, error_from_wire
from trustedpods.protocol.networks.documents import Copy
from trustedpods.protocol.networks.members import NetworkName
from trustedpods.publisher.core.networks.copies import BeingWritten, Equal, compare
from trustedpods.publisher.core.networks.telling import first_difference, unequal
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.market.session import Publisher
from trustedpods.publisher.networks.states import read_state
from trustedpods.publisher.results.errors import ErrorReport
from trustedpods.publisher.results.networks import CopiesResult, RepairResult
from trustedpods.publisher.verbs.networks.opening import check_all_named, newest_first
from trustedpods.publisher.verbs.networks.places import NetworkPlace, opened, reported


async def show(account: MarketAccount, place: NetworkPlace, journal: Journal) -> CopiesResult:
    """Every cluster's copy as it is, and how they differ. No lease is needed.

    Raises what a cluster failed with where none of them answers.
    """
    async with opened(account, place, journal) as (network, clusters):
        found = await clusters.copies()
    reports = reported(place, found)
    read = {name: copy for name, copy in found.items() if isinstance(copy, Copy)}
    state = compare(read)
    difference = "" if isinstance(state, Equal | BeingWritten) else first_difference(read)
    return CopiesResult(network, reports, isinstance(state, BeingWritten), difference)


async def compare_copies(account: MarketAccount, place: NetworkPlace, journal: Journal) -> CopiesResult:
    """The same, for scripts: CopiesDiffer (exit 3) where no write explains how copies differ.

    Raises what a cluster failed with where one of them does not answer.
    """
    result = await show(account, place, journal)
    copies: dict[str, Copy] = {}
    for name, copy in result.clusters.items():
        if isinstance(copy, ErrorReport):
            raise _unread(name, copy)
        copies[name] = copy
    if result.difference:
        raise unequal(place.name, copies)
    return result


async def repair(
    account: MarketAccount, place: NetworkPlace, source: str, wait_s: float, journal: Journal
) -> RepairResult:
    """Let *source*'s document be that of all clusters, by a person's word, under all leases.

    Copies that are equal or being written need none: they are left as any command leaves them. Raises
    Refused (rule `clusters`) where not all clusters of the network are named, CopiesDiffer where *source*
    holds no document, Locked, NetworkFailure.
    """
    if source not in place.clusters:
        raise BadInput(f"{source!r} is none of the clusters: {', '.join(place.clusters)}", where="--from")
    async with opened(account, place, journal) as (network, clusters):
        name = NetworkName(network.founder, network.name)
        _check_named(account.publisher, name, place, (await clusters.copies()).values())
        async with clusters.locked("state repair", wait_s, repair_from=source) as held:
            return RepairResult(network, source, held.document)


def _check_named(
    publisher: Publisher,
    network: NetworkName,
    place: NetworkPlace,
    found: Iterable[Copy | TrustedPodsError],
) -> None:
    """As `check_all_named`, by the newest document that can be read; where none can, only leases say why."""
    for document in newest_first(copy for copy in found if isinstance(copy, Copy)):
        try:
            view = read_state(publisher, network, document)
        except TrustedPodsError:
            continue
        check_all_named(view, place.clusters)
        return


def _unread(name: str, report: ErrorReport) -> TrustedPodsError:
    return error_from_wire(report.code, report.what, report.where or name, report.hint, report.rule)
