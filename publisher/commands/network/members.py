# SPDX-License-Identifier: Apache-2.0
"""`network member` and `network lost`: who is in the team, and which cluster is there no more."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trustedpods.publisher.commands.networks import of_network, wait_option
from trustedpods.publisher.commands.options import Common, Run, wait_seconds

if TYPE_CHECKING:
    from trustedpods.publisher.market.market import MarketAccount
    from trustedpods.publisher.results.networks import MembersResult
    from trustedpods.publisher.verbs.networks.places import NetworkPlace

    Work = Callable[[MarketAccount, NetworkPlace, float, Run], Awaitable[MembersResult]]

ROLES = click.Choice(["owner", "operator", "viewer"])


@click.group("member")
def member() -> None:
    """Members of a network: a viewer reads, an operator changes pods, an owner changes members too."""


@member.command(
    "add",
    epilog="""\b
Example:
  trustedpods network member add shop 0x3C44… bob.card --role operator
""",
)
@click.option("--role", type=ROLES, required=True)
@wait_option
@of_network
@click.argument("address")
@click.argument("card", type=click.Path(dir_okay=False, path_type=Path))
def add(
    options: Common, place: Callable[[], "NetworkPlace"], address: str, card: Path, role: str, wait: str
) -> None:
    """Let ADDRESS into the network NAME; CARD is a file that `network card` printed for him."""

    async def work(
        account: "MarketAccount", found: "NetworkPlace", wait_s: float, run: Run
    ) -> "MembersResult":
        from trustedpods.protocol.ids import parse_address
        from trustedpods.protocol.networks.members import Role
        from trustedpods.publisher.verbs.networks.documents import members

        who = parse_address(address)
        return await members.add(account, found, who, card, Role(role), wait_s, run.journal)

    _run(options, place, wait, work)


@member.command(
    "role",
    epilog="""\b
Example:
  trustedpods network member role shop 0x3C44… viewer
""",
)
@wait_option
@of_network
@click.argument("address")
@click.argument("role", type=ROLES)
def set_role(
    options: Common, place: Callable[[], "NetworkPlace"], address: str, role: str, wait: str
) -> None:
    """Give the member ADDRESS of the network NAME another role."""

    async def work(
        account: "MarketAccount", found: "NetworkPlace", wait_s: float, run: Run
    ) -> "MembersResult":
        from trustedpods.protocol.ids import parse_address
        from trustedpods.protocol.networks.members import Role
        from trustedpods.publisher.verbs.networks.documents import members

        who = parse_address(address)
        return await members.set_role(account, found, who, Role(role), wait_s, run.journal)

    _run(options, place, wait, work)


@member.command(
    "remove",
    epilog="""\b
Example:
  trustedpods network member remove shop 0x3C44…
""",
)
@wait_option
@of_network
@click.argument("address")
def remove(options: Common, place: Callable[[], "NetworkPlace"], address: str, wait: str) -> None:
    """Take ADDRESS out of the network NAME. What is written from now on is not sealed to him."""

    async def work(
        account: "MarketAccount", found: "NetworkPlace", wait_s: float, run: Run
    ) -> "MembersResult":
        from trustedpods.protocol.ids import parse_address
        from trustedpods.publisher.verbs.networks.documents import members

        return await members.remove(account, found, parse_address(address), wait_s, run.journal)

    _run(options, place, wait, work)


@click.command(
    "lost",
    epilog="""\b
Examples:
  trustedpods network lost shop k2 --reason "its provider is gone" --cluster k1=0x7099…/1
  trustedpods network lost shop k2 k3 --reason "one machine room burnt" --cluster k1=0x7099…/1
""",
)
@click.option("--reason", required=True, metavar="TEXT", help="Signed, and kept with your address.")
@wait_option
@of_network
@click.argument("lost", metavar="CLUSTER...", nargs=-1, required=True)
def lost_cluster(
    options: Common, place: Callable[[], "NetworkPlace"], lost: tuple[str, ...], reason: str, wait: str
) -> None:
    """Declare each CLUSTER of the network NAME lost, all at once. Commands ask only the others from now on.

    One --cluster of those leads to all; all must answer.
    """

    async def work(
        account: "MarketAccount", found: "NetworkPlace", wait_s: float, run: Run
    ) -> "MembersResult":
        from trustedpods.publisher.verbs.networks.documents import members

        return await members.lose(account, found, lost, reason, wait_s, run.journal)

    _run(options, place, wait, work)


def _run(options: Common, place: Callable[[], "NetworkPlace"], wait: str, work: "Work") -> None:
    run = Run(options)

    async def whole() -> "MembersResult":
        found, wait_s = place(), wait_seconds(wait)
        async with run.account() as account:
            return await work(account, found, wait_s, run)

    def lines(result: "MembersResult") -> list[str]:
        team = [f"{who}: {role}" for who, role in result.members.items()]
        return [*team, *(f"cluster {name} is lost: {reason}" for name, reason in result.lost.items())]

    run.finish(whole, lines)
