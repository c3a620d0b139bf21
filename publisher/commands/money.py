# SPDX-License-Identifier: Apache-2.0
"""Verbs on money: fund, close, balance, bill."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from trustedpods.publisher.commands.options import (
    Common,
    Run,
    common,
    named,
    paid_by,
    pod_name,
    wait_seconds,
    waits,
)
from trustedpods.publisher.commands.shell.completion import complete_pod

if TYPE_CHECKING:
    from trustedpods.publisher.core.cost import Shape
    from trustedpods.publisher.results.money import BalanceResult, CloseResult, FundResult, WithdrawResult
    from trustedpods.publisher.results.pods import AuditResult, BillResult


def _shape(manifest: Path | None) -> "Shape | None":
    """Size of the pod in a manifest file."""
    if manifest is None:
        return None
    from trustedpods.publisher.context import cache_dir
    from trustedpods.publisher.core.cost import shape_of
    from trustedpods.publisher.pod import read_pod

    pod = read_pod(manifest, cache_dir())
    return shape_of(pod.manifest, pod.image_bytes)


@click.command(
    epilog="""\b
Examples:
  trustedpods fund web 2.5
  trustedpods fund web 7d
  trustedpods fund web 7d --manifest pod.yaml    # on a machine that did not deploy it
  trustedpods fund web 7d --payer 0x70997970C51812dc3A010C7d01b50e0d17dc79C8@/run/user/1000/clef.ipc
"""
)
@click.argument("name", callback=pod_name, shell_complete=complete_pod)
@click.argument("amount")
@click.option(
    "--manifest",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Count a duration at the full size of this manifest, as deploy does.",
)
@paid_by
@waits("How long to wait for a payer: 5m for a person at a signer, 0s for a Safe, if not said.")
@named
def fund(
    options: Common, name: str, amount: str, manifest: Path | None, payer: str | None, wait: str | None
) -> None:
    """Add AMOUNT to the channel of the pod NAME: tokens (2.5), or a duration (7d).

    A duration is counted at full size, as by deploy: that of --manifest, else the largest with which
    the pod was deployed from this machine. Where neither is known it is counted at the channel's
    cap, the most that the provider can take in that time, traffic included.
    """
    run = Run(options)

    async def work() -> "FundResult":
        from trustedpods.publisher.core.money import parse_funding

        funding, shape = parse_funding(amount, "AMOUNT"), _shape(manifest)
        from trustedpods.publisher.payers.payer import find_payer

        opening = run.account(0.0, find_payer(payer), None if wait is None else wait_seconds(wait))
        from trustedpods.publisher.results.money import FundProgress
        from trustedpods.publisher.verbs.money import fund

        run.progress = progress = FundProgress()
        async with opening as account:
            return await fund(account, name, funding, shape, progress, run.journal)

    def lines(result: "FundResult") -> list[str]:
        from trustedpods.publisher.commands.lines.money import funded_lines

        return funded_lines(result)

    run.finish(work, lines)


@click.command(
    epilog="""\b
Examples:
  trustedpods close web
  trustedpods close web --wait 2d
"""
)
@click.argument("name", callback=pod_name, shell_complete=complete_pod)
@waits("How long to wait for the notice to pass, and for another verb here that has the pod; 0s if not said.")
@named
def close(options: Common, name: str, wait: str | None) -> None:
    """Get the deposit of the pod NAME back without its provider's help.

    Gives notice first, and says when the channel can be closed; after that, closes it. `delete`
    is faster where the provider answers.
    """
    run = Run(options)

    async def work() -> "CloseResult":
        wait_s = wait_seconds(wait)
        opening = run.account(wait_s)
        from trustedpods.publisher.results.money import CloseProgress
        from trustedpods.publisher.verbs.money import close

        run.progress = progress = CloseProgress()
        async with opening as account:
            return await close(account, name, wait_s, progress, run.journal)

    def lines(result: "CloseResult") -> list[str]:
        ended = f"{name} was gone already: " if result.gone else ""
        return [f"{ended}{one.provider.name}: {one.outcome.state}" for one in result.channels]

    run.finish(work, lines)


@click.command(
    epilog="""\b
Examples:
  trustedpods withdraw
  trustedpods withdraw web 2.5
  trustedpods withdraw --to-payer
"""
)
@click.argument("name", callback=pod_name, shell_complete=complete_pod, required=False)
@click.argument("amount", required=False)
@click.option(
    "--to-payer", is_flag=True, help="Send all tokens of the key's address to the payer afterwards."
)
@paid_by
@common
def withdraw(
    options: Common, name: str | None, amount: str | None, to_payer: bool, payer: str | None
) -> None:
    """Get what the payment contract owes the key's address: refunds that could not be paid at once.

    With the NAME of a pod that is paid for, it says how its money comes back: the contract gives no part of a
    deposit back while its channel stands, so an AMOUNT of it is not to be had.
    """
    run = Run(options)

    async def work() -> "WithdrawResult":
        from trustedpods.publisher.core.money import parse_funding

        if amount is not None:
            parse_funding(amount, "AMOUNT")
        from trustedpods.publisher.payers.payer import find_payer

        opening = run.account(0.0, find_payer(payer))
        from trustedpods.publisher.verbs.money import withdraw

        async with opening as account:
            return await withdraw(account, name, run.journal, to_payer=to_payer)

    run.finish(work, lambda result: result.lines)


@click.command(
    epilog="""\b
Example:
  trustedpods balance -o json
"""
)
@named
def balance(options: Common) -> None:
    """Tokens and gas of the key's address, and its channels with what is in them or came back."""
    run = Run(options)

    async def work() -> "BalanceResult":
        opening = run.account()
        from trustedpods.publisher.verbs.money import balance

        async with opening as account:
            return await balance(account)

    def lines(result: "BalanceResult") -> list[str]:
        from trustedpods.publisher.commands.lines.money import balance_lines

        return balance_lines(result, wide=options.form == "wide")

    run.finish(work, lines)


@click.command(
    epilog="""\b
Examples:
  trustedpods bill web
  trustedpods bill web --manifest pod.yaml -o json
"""
)
@click.argument("name", callback=pod_name, shell_complete=complete_pod)
@click.option(
    "--manifest",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Also check usage against the size in this manifest.",
)
@common
def bill(options: Common, name: str, manifest: Path | None) -> None:
    """What the pod NAME cost: computed here from signed usage, and compared with the chain.

    Ends with code 3 when something does not agree.
    """
    run = Run(options)

    async def work() -> "BillResult":
        shape = _shape(manifest)
        opening = run.account()
        from trustedpods.publisher.results.pods import VisitProgress
        from trustedpods.publisher.verbs.bill import bill

        run.progress = progress = VisitProgress()
        async with opening as account:
            return await bill(account, name, shape, progress, run.journal)

    def lines(result: "BillResult") -> list[str]:
        from trustedpods.publisher.commands.lines.money import bill_lines

        return bill_lines(result, wide=options.form == "wide")

    if run.finish(work, lines).problems:
        raise SystemExit(3)


@click.command(
    epilog="""\b
Examples:
  trustedpods audit web --manifest pod.yaml
  trustedpods audit web -o json
"""
)
@click.argument("name", callback=pod_name, shell_complete=complete_pod)
@click.option(
    "--manifest",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The pod's manifest: the most that it can have used follows from it.",
)
@common
def audit(options: Common, name: str, manifest: Path | None) -> None:
    """Recompute what the pod NAME cost, and hold every claim of its provider against the chain.

    Says of each check whether it holds, fails, or cannot be known. Ends with code 3 when one fails.
    """
    run = Run(options)

    async def work() -> "AuditResult":
        shape = _shape(manifest)
        opening = run.account()
        from trustedpods.publisher.results.pods import VisitProgress
        from trustedpods.publisher.verbs.audit import audit

        run.progress = progress = VisitProgress()
        async with opening as account:
            return await audit(account, name, shape, progress, run.journal)

    def lines(result: "AuditResult") -> list[str]:
        from trustedpods.publisher.commands.lines.money import audit_lines

        return audit_lines(result)

    if not run.finish(work, lines).holds:
        raise SystemExit(3)
