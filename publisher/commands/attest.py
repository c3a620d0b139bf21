# SPDX-License-Identifier: Apache-2.0
"""The verb on evidence: attest."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trustedpods.publisher.commands.options import Common, Run, common

if TYPE_CHECKING:
    from datetime import datetime

    from trustedpods.publisher.context import MarketFile
    from trustedpods.publisher.results.attested import AttestResult


@click.command(
    epilog="""\b
Examples:
  trustedpods attest 0x70997970C51812dc3A010C7d01b50e0d17dc79C8/1
  trustedpods attest 0x70997970C51812dc3A010C7d01b50e0d17dc79C8 --policy ours.toml -o json
  trustedpods attest 0x70997970C51812dc3A010C7d01b50e0d17dc79C8 --print-policy > draft.toml
  trustedpods attest 0x70997970C51812dc3A010C7d01b50e0d17dc79C8 --save evidence.json
  trustedpods attest evidence.json --policy ours --at 2026-11-01T00:00:00Z

\b
Exit code 9: the evidence is refused; `error.rule` of -o json is the first failed check.
docs/attestation.md lists them.
"""
)
@click.argument("target", metavar="PROVIDER|FILE")
@click.option(
    "--policy", metavar="FILE|NAME", help="What must hold (NAME: policies/NAME.toml in your settings)."
)
@click.option("--print-policy", is_flag=True, help="Write a policy that accepts it, for you to confirm.")
@click.option("--save", type=click.Path(dir_okay=False, path_type=Path), help="Keep the evidence as a file.")
@click.option(
    "--at", type=click.DateTime(["%Y-%m-%dT%H:%M:%SZ"]), help="FILE: judge it as of this time, not of now."
)
@common
def attest(
    options: Common,
    target: str,
    policy: str | None,
    print_policy: bool,
    save: Path | None,
    at: Any,  # noqa: ANN401 - click has checked it
) -> None:
    """Ask a provider for proof of what it is, and judge it; or judge proof that was saved.

    PROVIDER is OWNER/N as `provider list` prints it, or OWNER. Without --policy the market's own
    policy holds: in a localnet its simulated machines, elsewhere nothing.
    """
    run = Run(options)
    file = Path(target)
    saved = file.is_file() or (not target.startswith("0x") and ("/" in target or "." in target))

    def lines(result: "AttestResult") -> list[str]:
        from trustedpods.publisher.commands.lines.providers import attest_lines

        return attest_lines(result, draft_only=print_policy)

    if saved:
        run.guard(lambda: _from_file(run, file, policy, print_policy, save, at), lines)
        return

    async def work() -> "AttestResult":
        from trustedpods.protocol.errors import BadInput
        from trustedpods.publisher.core.select import parse_choice

        choice, market_file = parse_choice(target), run.market()
        if at is not None:
            raise BadInput("a provider is judged as of now", where="--at", hint="--at is for FILE")
        from trustedpods.publisher.attestation.evidence import Wanted, read_policy
        from trustedpods.publisher.market.market import open_market
        from trustedpods.publisher.results.attested import AttestProgress
        from trustedpods.publisher.verbs.attest import attest_provider

        run.progress = progress = AttestProgress()
        wanted = Wanted(read_policy(policy) if policy else None, save, print_policy)
        async with open_market(market_file) as market:
            return await attest_provider(market, choice, wanted, progress, run.journal)

    run.finish(work, lines)


def _from_file(
    run: Run, file: Path, policy: str | None, print_policy: bool, save: Path | None, at: "datetime | None"
) -> "AttestResult":
    from datetime import UTC

    from trustedpods.protocol.errors import BadInput
    from trustedpods.publisher.attestation.evidence import Wanted, attest_file, read_policy
    from trustedpods.publisher.results.attested import AttestProgress

    if save is not None:
        raise BadInput("it is a file already", where="--save", hint="--save is for PROVIDER")
    wanted = Wanted(read_policy(policy) if policy else None, None, print_policy)
    moment = None if at is None else at.replace(tzinfo=UTC)
    run.progress = progress = AttestProgress()
    return attest_file(file, _market_if_any(run), wanted, moment, progress, run.journal)


def _market_if_any(run: Run) -> "MarketFile | None":
    """Only simulated evidence needs a market: its root is in the market's file."""
    from trustedpods.protocol.errors import NoContext

    try:
        return run.market()
    except NoContext:
        if run.common.market:
            raise
        return None
