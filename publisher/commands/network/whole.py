# SPDX-License-Identifier: Apache-2.0
"""`network endpoints`, `logs`, `fund` and `backup`: a pod's verbs over all nodes of a network."""

import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import click

from trustedpods.publisher.commands.network.network import cluster_option, known_clusters
from trustedpods.publisher.commands.options import Common, Run, common

if TYPE_CHECKING:
    from trustedpods.protocol.networks.members import NetworkName
    from trustedpods.publisher.core.select import Choice
    from trustedpods.publisher.market.market import MarketAccount
    from trustedpods.publisher.results.networks import (
        NetworkBackupResult,
        NetworkEndpointsResult,
        NetworkFundResult,
        NetworkLogsResult,
    )

R = TypeVar("R")


@click.command(
    "endpoints",
    epilog="""\b
Example:
  trustedpods network endpoints shop -o json
""",
)
@click.argument("name", metavar="[FOUNDER/]NAME")
@cluster_option
@common
def endpoints(options: Common, name: str, clusters: tuple[str, ...]) -> None:
    """Where every node of the network NAME is reached."""

    async def work(
        account: "MarketAccount", network: "NetworkName", known: "dict[str, Choice]", run: Run
    ) -> "NetworkEndpointsResult":
        from trustedpods.publisher.verbs.networks.whole.nodes import endpoints as look

        return await look(account, network, known, run.journal)

    def lines(result: "NetworkEndpointsResult") -> list[str]:
        from trustedpods.publisher.output.terminal import table

        rows = [[one.node, one.cluster, one.service, str(one.port), one.url] for one in result.endpoints]
        return (
            table(["NODE", "CLUSTER", "SERVICE", "PORT", "ADDRESS"], rows)
            if rows
            else ["no node has an address"]
        )

    _of_network(options, name, clusters, work, lines)


@click.command(
    "logs",
    epilog="""\b
Examples:
  trustedpods network logs shop
  trustedpods network logs shop db --tail 100
""",
)
@click.argument("name", metavar="[FOUNDER/]NAME")
@click.argument("nodes", nargs=-1, metavar="[NODE]...")
@click.option("--tail", type=click.IntRange(1, 10_000), default=10, show_default=True, help="Last lines.")
@click.option("-p", "--previous", is_flag=True, help="Of the runs that ended, as far as they are kept.")
@cluster_option
@common
def logs(
    options: Common, name: str, nodes: tuple[str, ...], tail: int, previous: bool, clusters: tuple[str, ...]
) -> None:
    """The last lines of your nodes of the network NAME, or of those that are named.

    Exit code 0, or that of the first node that cannot be asked.
    """

    async def work(
        account: "MarketAccount", network: "NetworkName", known: "dict[str, Choice]", run: Run
    ) -> "NetworkLogsResult":
        from trustedpods.protocol.messages.pod import LogsBody
        from trustedpods.publisher.verbs.networks.whole.logs import logs as read

        body = LogsBody(tail=tail, previous=previous)
        return await read(account, network, known, nodes, body, run.journal)

    def lines(result: "NetworkLogsResult") -> list[str]:
        from trustedpods.publisher.commands.network_lines import node_log_lines

        return node_log_lines(result)

    sys.exit(int(_of_network(options, name, clusters, work, lines).exit_code))


@click.command(
    "fund",
    epilog="""\b
Examples:
  trustedpods network fund shop 12h
  trustedpods network fund shop 30
""",
)
@click.argument("name", metavar="[FOUNDER/]NAME")
@click.argument("amount")
@cluster_option
@common
def fund(options: Common, name: str, amount: str, clusters: tuple[str, ...]) -> None:
    """Pay AMOUNT for your nodes of the network NAME: a duration for each, or tokens, split as their caps are.

    One transaction for each node. Exit code 0, or that of the first one that was not paid.
    """

    async def work(
        account: "MarketAccount", network: "NetworkName", known: "dict[str, Choice]", run: Run
    ) -> "NetworkFundResult":
        from trustedpods.publisher.core.money import parse_funding
        from trustedpods.publisher.verbs.networks.whole.fund import fund as pay

        run.asks_no_payer()
        return await pay(account, network, known, parse_funding(amount, "AMOUNT"), run.journal)

    def lines(result: "NetworkFundResult") -> list[str]:
        from trustedpods.publisher.commands.network_lines import paid_lines

        return paid_lines(result)

    sys.exit(int(_of_network(options, name, clusters, work, lines).exit_code))


@click.command(
    "backup",
    epilog="""\b
Examples:
  trustedpods network backup shop --store s3://shop/backups --keep 7
  trustedpods network backup shop db --store ~/backups
""",
)
@click.argument("name", metavar="[FOUNDER/]NAME")
@click.argument("nodes", nargs=-1, metavar="[NODE]...")
@click.option(
    "--store",
    metavar="DIR|s3://BUCKET/WORDS",
    help="Where backups are kept (else where each node's schedule or its last backup has them).",
)
@click.option("--keep", metavar="N", type=click.IntRange(min=1), help="Remove all but a node's newest N.")
@cluster_option
@common
def backup(
    options: Common,
    name: str,
    nodes: tuple[str, ...],
    store: str | None,
    keep: int | None,
    clusters: tuple[str, ...],
) -> None:
    """Back up the persistent volumes of your nodes of the network NAME, or of those that are named.

    Each as `backup` of its pod, under its pod's name. Exit code 0, or that of the first node that failed.
    """

    async def work(
        account: "MarketAccount", network: "NetworkName", known: "dict[str, Choice]", run: Run
    ) -> "NetworkBackupResult":
        from trustedpods.publisher.verbs.networks.whole.backup import backup_nodes
        from trustedpods.publisher.verbs.running.backup import BackupOptions

        wanted = BackupOptions(store, keep=keep)
        return await backup_nodes(account, network, known, nodes, wanted, run.journal)

    def lines(result: "NetworkBackupResult") -> list[str]:
        from trustedpods.publisher.commands.network_lines import backup_lines

        return backup_lines(result)

    sys.exit(int(_of_network(options, name, clusters, work, lines).exit_code))


def _of_network(
    options: Common,
    name: str,
    clusters: tuple[str, ...],
    work: "Callable[[MarketAccount, NetworkName, dict[str, Choice], Run], Awaitable[R]]",
    lines: Callable[[R], Sequence[str]],
) -> R:
    """Run a verb on a network that exists."""
    run = Run(options)

    async def whole() -> R:
        known, opening = known_clusters(clusters), run.account()
        from trustedpods.publisher.verbs.networks.places import parse_network

        async with opening as account:
            return await work(account, parse_network(name, account.publisher.address), known, run)

    return run.finish(whole, lines)
