# SPDX-License-Identifier: Apache-2.0
"""Verbs on networks of pods: `lock` and `state`."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from trustedpods.publisher.commands.options import Common, Run, common, wait_seconds

if TYPE_CHECKING:
    from trustedpods.publisher.results.networks import (
        BreakResult,
        CopiesResult,
        LeasesResult,
        RepairResult,
    )
    from trustedpods.publisher.verbs.networks.places import NetworkPlace

F = TypeVar("F", bound=Callable[..., Any])

wait_option = click.option(
    "--wait", default="0s", metavar="DURATION", show_default=True, help="Wait for others' leases."
)


def of_network(verb: F) -> F:
    """Add the network and its clusters to a verb, which gets a function that reads them as `place`."""

    @click.argument("network", metavar="[FOUNDER/]NAME")
    @click.option(
        "--cluster",
        "clusters",
        metavar="NAME=OWNER[/N]",
        multiple=True,
        help="A cluster of the network, and its provider; once for each (else those of the context).",
    )
    @common
    @functools.wraps(verb)
    def wrapped(options: Common, network: str, clusters: tuple[str, ...], **arguments: Any) -> Any:  # noqa: ANN401
        def place() -> "NetworkPlace":
            from trustedpods.publisher.commands.network.contexts import mapped
            from trustedpods.publisher.verbs.networks.places import parse_place

            return parse_place(network, clusters or mapped(), of_context=not clusters)

        return verb(options, place, **arguments)

    return cast("F", wrapped)


@click.group()
def lock() -> None:
    """Leases of a network: who may change it now."""


@lock.command(
    "status",
    epilog="""\b
Example:
  trustedpods lock status shop --cluster k1=0x7099…/1 --cluster k2=0x3C44…/1
""",
)
@of_network
def lock_status(options: Common, place: Callable[[], "NetworkPlace"]) -> None:
    """Who holds the leases of the network NAME, who waits, and which were broken."""
    run = Run(options)

    async def work() -> "LeasesResult":
        wanted, opening = place(), run.account()
        from trustedpods.publisher.verbs.networks.lock import status

        async with opening as account:
            return await status(account, wanted, run.journal)

    def lines(result: "LeasesResult") -> list[str]:
        from trustedpods.publisher.commands.network_lines import lease_lines

        return lease_lines(result)

    run.finish(work, lines)


@lock.command(
    "break",
    epilog="""\b
Example:
  trustedpods lock break shop --reason "her laptop is at the bottom of a lake" --cluster k1=0x7099…/1
""",
)
@click.option("--reason", required=True, metavar="TEXT", help="Kept in each cluster, with your address.")
@of_network
def lock_break(options: Common, place: Callable[[], "NetworkPlace"], reason: str) -> None:
    """End the lease that is held now on the network NAME. Its holder's next write is refused.

    Seldom needed: a lease whose holder died ends by itself within 20 seconds.
    """
    run = Run(options)

    async def work() -> "BreakResult":
        wanted, opening = place(), run.account()
        from trustedpods.publisher.verbs.networks.lock import break_lease

        async with opening as account:
            return await break_lease(account, wanted, reason, run.journal)

    def lines(result: "BreakResult") -> list[str]:
        return [
            f"{name}: " + (f"the lease of {who} is broken" if who else "nobody holds a lease")
            for name, who in result.broken.items()
        ]

    run.finish(work, lines)


@click.group()
def state() -> None:
    """Copies of a network's document: one in each of its clusters."""


@state.command(
    "show",
    epilog="""\b
Example:
  trustedpods state show shop --cluster k1=0x7099…/1 --cluster k2=0x3C44…/1 -o json
""",
)
@of_network
def state_show(options: Common, place: Callable[[], "NetworkPlace"]) -> None:
    """The copy of each cluster of the network NAME: generation, content, what is being written."""
    _copies(Run(options), place, must_be_equal=False)


@state.command(
    "compare",
    epilog="""\b
Example:
  trustedpods state compare shop --cluster k1=0x7099…/1 --cluster k2=0x3C44…/1
""",
)
@of_network
def state_compare(options: Common, place: Callable[[], "NetworkPlace"]) -> None:
    """The same; exit code 3, with the first difference, where copies of the network NAME are unequal."""
    _copies(Run(options), place, must_be_equal=True)


@state.command(
    "repair",
    epilog="""\b
Example:
  trustedpods state repair shop --from k1 --cluster k1=0x7099…/1 --cluster k2=0x3C44…/1
""",
)
@click.option("--from", "source", required=True, metavar="CLUSTER", help="Whose document is right.")
@wait_option
@of_network
def state_repair(options: Common, place: Callable[[], "NetworkPlace"], source: str, wait: str) -> None:
    """Let one cluster's document be that of all clusters of the network NAME."""
    run = Run(options)

    async def work() -> "RepairResult":
        wanted, wait_s = place(), wait_seconds(wait)
        opening = run.account()
        from trustedpods.publisher.verbs.networks.state import repair

        async with opening as account:
            return await repair(account, wanted, source, wait_s, run.journal)

    run.finish(work, lambda result: [f"all copies are generation {result.document.generation} now"])


def _copies(run: Run, place: Callable[[], "NetworkPlace"], *, must_be_equal: bool) -> None:
    """Print the copies; with *must_be_equal* an error where they are not."""

    async def work() -> "CopiesResult":
        wanted, opening = place(), run.account()
        from trustedpods.publisher.verbs.networks.state import compare_copies, show

        async with opening as account:
            return await (compare_copies if must_be_equal else show)(account, wanted, run.journal)

    def lines(result: "CopiesResult") -> list[str]:
        from trustedpods.publisher.commands.network_lines import copy_lines

        return copy_lines(result)

    run.finish(work, lines)
