# SPDX-License-Identifier: Apache-2.0
"""The verb on evidence: attest."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trustedpods.publisher.commands.options import Common, Run, common

if TYPE_CHECKING:
    from datetime import datetime

    from trustedpods.publisher.context import MarketFile


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

    def lines(result: dict[str, Any]) -> list[str]:
        return attest_lines(result, draft_only=print_policy)

    if saved:
        run.guard(lambda: _from_file(run, file, policy, print_policy, save, at), lines)
        return

    async def work() -> None:
        from trustedpods.protocol.errors import BadInput
        from trustedpods.publisher.core.select import parse_choice

        choice, market = parse_choice(target), run.market()
        if at is not None:
            raise BadInput("a provider is judged as of now", where="--at", hint="--at is for FILE")
        from trustedpods.publisher.attestation.evidence import Wanted, read_policy
        from trustedpods.publisher.verbs.attest import attest_provider

        wanted = Wanted(read_policy(policy) if policy else None, save, print_policy)
        await attest_provider(market, choice, wanted, run.journal)

    run.finish(work, lines)


def _from_file(
    run: Run, file: Path, policy: str | None, print_policy: bool, save: Path | None, at: "datetime | None"
) -> None:
    from datetime import UTC

    from trustedpods.protocol.errors import BadInput
    from trustedpods.publisher.attestation.evidence import Wanted, attest_file, read_policy

    if save is not None:
        raise BadInput("it is a file already", where="--save", hint="--save is for PROVIDER")
    wanted = Wanted(read_policy(policy) if policy else None, None, print_policy)
    moment = None if at is None else at.replace(tzinfo=UTC)
    attest_file(file, _market_if_any(run), wanted, moment, run.journal)


def _market_if_any(run: Run) -> "MarketFile | None":
    """Only simulated evidence needs a market: its root is in the market's file."""
    from trustedpods.protocol.errors import NoContext

    try:
        return run.market()
    except NoContext:
        if run.common.market:
            raise
        return None


def attest_lines(result: dict[str, Any], *, draft_only: bool) -> list[str]:
    """The verdict for people; with *draft_only* nothing but the draft, to be sent to a file."""
    if draft_only:
        return str(result["policy_draft"]).splitlines()
    verdict = result["verdict"]
    lines = [
        f"{result['provider']}: {result['trust']}",
        f"platform  {verdict['platform']}",
        f"chip      {verdict['chip_id'] or 'none'}",
        f"policy    {verdict['policy']}, matched: {verdict['entry']}",
        f"report    sha256:{verdict['report_sha256']}",
        f"passed    {', '.join(verdict['checks'])}",
    ]
    if verdict["expiry"]:
        lines.append(f"until     {verdict['expiry']} (the vendor's statements)")
    if "saved" in result:
        lines.append(f"saved     {result['saved']}")
    return lines
