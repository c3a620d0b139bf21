# SPDX-License-Identifier: Apache-2.0
"""`network`: several pods over several clusters, looked after by a team."""

import functools
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from trustedpods.publisher.commands.networks import wait_option
from trustedpods.publisher.commands.options import Common, Run, common, named, wait_seconds

if TYPE_CHECKING:
    from trustedpods.publisher.core.select import Choice
    from trustedpods.publisher.market.market import MarketAccount
    from trustedpods.publisher.results.networks import (
        ApplyResult,
        CardResult,
        ConnectResult,
        KeptNetworksResult,
        NetworkDeleteResult,
        NetworkStatusResult,
        PlanResult,
    )
    from trustedpods.publisher.verbs.networks.files import NetworkFile

F = TypeVar("F", bound=Callable[..., Any])

cluster_option = click.option(
    "--cluster",
    "clusters",
    metavar="NAME=OWNER[/N]",
    multiple=True,
    help="A cluster of the network, and its provider (else those of the context).",
)
_PURGE = click.option(
    "--purge", is_flag=True, help="With the volumes of removed nodes that would be kept, and paid for."
)
_STORE = click.option(
    "--store", metavar="PLACE", help="Where backups of lost nodes are (else each pod's own place of backups)."
)


def _replacing_options(verb: F) -> F:
    """Add --replace-lost, --store and --empty to a verb, which gets them as `replacing`."""

    @click.option(
        "--replace-lost",
        "agreed",
        is_flag=True,
        help="Nodes of lost clusters come anew, from backups or empty.",
    )
    @_STORE
    @click.option(
        "--empty", metavar="NODE", multiple=True, help="This lost node begins empty, though it has a backup."
    )
    @functools.wraps(verb)
    def wrapped(*, agreed: bool, store: str | None, empty: tuple[str, ...], **arguments: Any) -> Any:  # noqa: ANN401 - click's own
        if not agreed and (store is not None or empty):
            given = "--empty" if store is None else "--store"
            raise click.UsageError(f"{given} is for nodes of lost clusters: give it with --replace-lost")
        return verb(replacing=(agreed, store, empty), **arguments)

    return cast("F", wrapped)


@click.command(
    "card",
    epilog="""\b
Example:
  trustedpods network card > bob.card
""",
)
@common
def card(options: Common) -> None:
    """Print your card: an owner names it in a network's file to let you in. It is no secret."""
    run = Run(options)

    async def work() -> "CardResult":
        opening = run.account()
        from trustedpods.publisher.verbs.networks.connect import card as own

        async with opening as account:
            return own(account)

    run.finish(work, lambda result: [result.card])


@click.command(
    "connect",
    epilog="""\b
Example:
  trustedpods network connect shop --cluster k1=0x7099…/1 --cluster k2=0x3C44…/1
""",
)
@click.argument("name", metavar="[FOUNDER/]NAME")
@cluster_option
@wait_option
@named
def connect(options: Common, name: str, clusters: tuple[str, ...], wait: str) -> None:
    """Begin the network NAME in its clusters, with you as its owner; or see that you reach it."""
    run = Run(options)

    async def work() -> "ConnectResult":
        from trustedpods.publisher.commands.network.contexts import mapped
        from trustedpods.publisher.verbs.networks.places import parse_place

        place = parse_place(name, clusters or mapped(), of_context=not clusters)
        wait_s, opening = wait_seconds(wait), run.account()
        from trustedpods.publisher.verbs.networks.connect import connect as begin

        async with opening as account:
            return await begin(account, place, wait_s, run.journal)

    def lines(result: "ConnectResult") -> list[str]:
        said = "began" if result.begun else "is there"
        listed = ", ".join(f"{one}={where}" for one, where in result.clusters.items())
        return [f"network {result.network.name} of {result.network.founder} {said}, in {listed}"]

    run.finish(work, lines)


@click.command(
    "plan",
    epilog="""\b
Example:
  trustedpods network plan network.yaml
""",
)
@click.argument("file", type=click.Path(path_type=Path))
@_STORE
@cluster_option
@common
def plan(options: Common, file: Path, store: str | None, clusters: tuple[str, ...]) -> None:
    """What an apply of FILE would change now; exit code 10 where that is anything."""

    async def work(
        account: "MarketAccount", read: "NetworkFile", known: "dict[str, Choice]", run: Run
    ) -> "PlanResult":
        from trustedpods.publisher.verbs.networks.apply import plan as look

        return await look(account, read, known, run.journal, store=store)

    def lines(result: "PlanResult") -> list[str]:
        from trustedpods.publisher.commands.network_lines import outlook_lines

        return outlook_lines(result)

    done = _with_file(options, file, clusters, work, lines)
    if done.plan.changes:
        from trustedpods.protocol.errors import ExitCode

        raise SystemExit(int(ExitCode.PLAN_HAS_CHANGES))


@click.command(
    "apply",
    epilog="""\b
Examples:
  trustedpods network apply network.yaml
  trustedpods network apply network.yaml --deposit 12h --wait 10m
  trustedpods network apply network.yaml --only node-3
  trustedpods network apply network.yaml --replace-lost --store ~/backups
""",
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--deposit", metavar="AMOUNT", help="Of each node: tokens (2.5), or a duration at full size (12h)."
)
@click.option(
    "--only", metavar="NODE", multiple=True, help="Change this node alone (or all replicas); once for each."
)
@_replacing_options
@_PURGE
@wait_option
@cluster_option
@named
def apply(
    options: Common,
    file: Path,
    deposit: str | None,
    only: tuple[str, ...],
    replacing: tuple[bool, str | None, tuple[str, ...]],
    purge: bool,
    wait: str,
    clusters: tuple[str, ...],
) -> None:
    """Bring a network to what FILE says: its team, then its nodes, side by side as far as they may.

    Killed anywhere, run it again: it goes on. What is as the file says is not touched.
    """

    async def work(
        account: "MarketAccount", read: "NetworkFile", known: "dict[str, Choice]", run: Run
    ) -> "ApplyResult":
        from trustedpods.publisher.contexts import context_policy
        from trustedpods.publisher.core.money import parse_funding
        from trustedpods.publisher.core.networks.planning.replacing import Replacing
        from trustedpods.publisher.verbs.deploy import DeployOptions
        from trustedpods.publisher.verbs.networks.apply import ApplyOptions
        from trustedpods.publisher.verbs.networks.apply import apply as bring

        run.asks_no_payer()
        funding = None if deposit is None else parse_funding(deposit, "--deposit")
        deploying = DeployOptions(funding=funding, otherwise=context_policy(os.environ))
        said = [("FILE", str(file)), *([] if deposit is None else [("--deposit", deposit)])]
        said += [*(("--only", one) for one in only), *([("--purge", "")] if purge else [])]
        agreed, store, empty = replacing
        lost = Replacing(store, empty) if agreed else None
        said += [] if lost is None else lost.said
        wait_s = wait_seconds(wait)
        wanted = ApplyOptions(known, wait_s, deploying, tuple(said), purge=purge, only=only, replacing=lost)
        return await bring(account, read, wanted, run.journal)

    def lines(result: "ApplyResult") -> list[str]:
        from trustedpods.publisher.commands.network_lines import plan_lines

        urls = [f"{node} {url}" for node, url in result.urls.items()]
        holding = [f"{one.name} at {one.node}: {one.said}" for one in result.probes]
        return [*plan_lines(result.plan, done=True), *urls, *holding]

    _with_file(options, file, clusters, work, lines)


@click.command(
    "list",
    epilog="""\b
Examples:
  trustedpods network list
  trustedpods network list --cluster k1=0x7099…/1
""",
)
@cluster_option
@named
def list_networks(options: Common, clusters: tuple[str, ...]) -> None:
    """All networks that the clusters keep, by founder and name, also those of others."""
    run = Run(options)

    async def work() -> "KeptNetworksResult":
        known, opening = known_clusters(clusters), run.account()
        from trustedpods.publisher.verbs.networks.status import kept

        async with opening as account:
            return await kept(account, known)

    def lines(result: "KeptNetworksResult") -> list[str]:
        from trustedpods.publisher.commands.network_lines import kept_lines

        return kept_lines(result)

    run.finish(work, lines)


@click.command(
    "status",
    epilog="""\b
Examples:
  trustedpods network status shop
  trustedpods network status 0x7099…/shop -o json
""",
)
@click.argument("name", metavar="[FOUNDER/]NAME")
@cluster_option
@named
def status(options: Common, name: str, clusters: tuple[str, ...]) -> None:
    """All nodes of the network NAME: what the document says, and what their providers say of yours.

    Exit code 0 when all is well, 10 when an apply is due, else that of the first node that has an error.
    """
    run = Run(options)

    async def work() -> "NetworkStatusResult":
        known, opening = known_clusters(clusters), run.account()
        from trustedpods.publisher.verbs.networks.places import parse_network
        from trustedpods.publisher.verbs.networks.status import status as look

        async with opening as account:
            network = parse_network(name, account.publisher.address)
            return await look(account, network, known, run.journal)

    def lines(result: "NetworkStatusResult") -> list[str]:
        from trustedpods.publisher.commands.network_lines import node_lines

        return node_lines(result)

    done = run.finish(work, lines)
    raise SystemExit(int(done.exit_code))


@click.command(
    "delete",
    epilog="""\b
Examples:
  trustedpods network delete shop
  trustedpods network delete shop --purge
""",
)
@click.argument("name", metavar="[FOUNDER/]NAME")
@_PURGE
@cluster_option
@wait_option
@named
def delete(options: Common, name: str, purge: bool, clusters: tuple[str, ...], wait: str) -> None:
    """Remove every node of the network NAME, then its documents. Only owners may."""
    run = Run(options)

    async def work() -> "NetworkDeleteResult":
        known, wait_s, opening = known_clusters(clusters), wait_seconds(wait), run.account()
        from trustedpods.publisher.verbs.networks.delete import delete as remove
        from trustedpods.publisher.verbs.networks.places import parse_network

        async with opening as account:
            network = parse_network(name, account.publisher.address)
            return await remove(account, network, known, wait_s, run.journal, purge=purge)

    def lines(result: "NetworkDeleteResult") -> list[str]:
        if not result.found:
            whose = f"network {result.network.name} of {result.network.founder}"
            return [f"nothing is left to delete: {', '.join(result.asked)} keep nothing of {whose}"]
        return [*(f"node {one} is removed" for one in result.removed), "its documents are gone"]

    run.finish(work, lines)


R = TypeVar("R")


def _with_file(
    options: Common,
    file: Path,
    clusters: tuple[str, ...],
    work: "Callable[[MarketAccount, NetworkFile, dict[str, Choice], Run], Awaitable[R]]",
    lines: Callable[[R], Sequence[str]],
) -> R:
    """Run a verb on a Network file: a wrong file is said before a key is asked for or anybody is dialled."""
    run = Run(options)

    async def whole() -> R:
        from trustedpods.manifests.network.load import load_network
        from trustedpods.publisher.context import cache_dir

        load_network(file, lambda loaded: loaded)
        known = known_clusters(clusters)
        key, market = run.key(), run.market()
        from trustedpods.publisher.market.market import open_account
        from trustedpods.publisher.verbs.networks.files import read_network

        with run.opening() as opening:
            read = read_network(file, cache_dir(), key.address, opening)
        async with open_account(market, key) as account:
            known = known or await _asked(account, read)
            return await work(account, read, known, run)

    return run.finish(whole, lines)


def known_clusters(clusters: tuple[str, ...]) -> "dict[str, Choice]":
    """Clusters of the command line, else those of the context."""
    from trustedpods.publisher.commands.network.contexts import mapped
    from trustedpods.publisher.core.networks.mapping import parse_clusters

    return parse_clusters(clusters or mapped(), of_context=not clusters)


async def _asked(account: "MarketAccount", file: "NetworkFile") -> "dict[str, Choice]":
    """Nobody said which provider any cluster is: ask for each that the file names, once, and remember it."""
    from trustedpods.publisher.commands.network.contexts import choose, remember
    from trustedpods.publisher.core.networks.mapping import parse_cluster
    from trustedpods.publisher.verbs.networks.places import candidates

    found: dict[str, Choice] = {}
    for cluster in dict.fromkeys(node.where for node in file.nodes if isinstance(node.where, str)):
        provider = choose(cluster, await candidates(account.market))
        remember(cluster, provider)
        found |= [parse_cluster(f"{cluster}={provider}")]
    return found
