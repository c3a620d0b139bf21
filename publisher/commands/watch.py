# SPDX-License-Identifier: Apache-2.0
"""The verb that looks after pods: watch."""

from typing import TYPE_CHECKING, Any, NoReturn

import click

from trustedpods.publisher.commands.options import (
    Common,
    Run,
    common,
    form_of,
    pod_name,
    verb_typed,
    wait_seconds,
)

if TYPE_CHECKING:
    from trustedpods.publisher.core.money import Funding
    from trustedpods.publisher.market.market import MarketAccount
    from trustedpods.publisher.results.watched import WatchResult
    from trustedpods.publisher.verbs.watch import WatchOptions


def _names(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(str(pod_name(context, parameter, value)) for value in values)


@click.command(
    epilog="""\b
Examples:
  trustedpods watch
  trustedpods watch --once -o json
  trustedpods watch web --interval 10m --top-up-below 12h --max-per-day 2.5
  trustedpods watch --once --unlock-on-violation

\b
Exit code of a round: 9 a provider stopped verifying, 3 usage or chain do not agree, 7 money is low
and may not be topped up, 6 a pod waits for something, 8 a provider or the chain is silent, 0 all is well.
"""
)
@click.argument("names", metavar="[NAME...]", nargs=-1, callback=_names)
@click.option("--once", is_flag=True, help="One round and due backups, then end: for a timer.")
@click.option("--interval", metavar="DURATION", default="5m", show_default=True, help="Between two rounds.")
@click.option(
    "--policy", metavar="FILE|NAME", help="What evidence must show, over the policy of each deploy."
)
@click.option("--top-up-below", metavar="DURATION", help="Top up a pod whose money lasts less than this.")
@click.option("--max-per-day", metavar="AMOUNT", help="Tokens that a pod may be topped up by in a day (UTC).")
@click.option(
    "--unlock-on-violation",
    is_flag=True,
    help="Give notice on the deposit when evidence or usage does not hold.",
)
@click.option(
    "--wait",
    metavar="DURATION",
    default="60s",
    show_default=True,
    help="How long to wait for a provider that does not answer.",
)
@common
def watch(  # noqa: PLR0913, PLR0917 - click hands them over one by one
    options: Common,
    names: tuple[str, ...],
    once: bool,
    interval: str,
    policy: str | None,
    top_up_below: str | None,
    max_per_day: str | None,
    unlock_on_violation: bool,
    wait: str,
) -> None:
    """Look after the pods that were deployed from here, or after those NAMEd.

    Each round attests every provider again, releases pods whose machine was restarted, checks what
    they are billed for, closes channels whose notice is over, and tops up within the limit that you give.
    Backups are made as `backup --every` has it, one at a time, beside the rounds. With --once those that are
    due are made after the round; more rounds follow, --interval apart, until they are there: no payment waits
    for a backup.
    """
    run = Run(options)
    if (top_up_below is None) != (max_per_day is None):
        raise click.UsageError("--top-up-below and --max-per-day go together")

    async def work() -> "WatchResult":
        """Flags first: what is wrong with them is said before slow imports."""
        from trustedpods.publisher.core.money import parse_duration, parse_funding

        pause_s = parse_duration(interval, "--interval")
        patience_s = wait_seconds(wait)
        below_s = None if top_up_below is None else parse_duration(top_up_below, "--top-up-below")
        limit = None if max_per_day is None else parse_funding(max_per_day, "--max-per-day")
        if below_s is not None:
            run.asks_no_payer()
        opening = run.account()
        from trustedpods.publisher.attestation.policies import policy_name
        from trustedpods.publisher.verbs.watch import WatchOptions

        async with opening as account:
            wanted = WatchOptions(
                names=names,
                policy=policy_name(policy, None),
                top_up=_top_up(account, below_s, limit),
                unlock=unlock_on_violation,
                patience_s=patience_s,
            )
            if once:
                return await _single(run, account, wanted, pause_s)
            return await _rounds(run, account, wanted, pause_s)

    done = run.finish(work, _lines)
    raise SystemExit(done.exit_code)


def _lines(result: "WatchResult") -> list[str]:
    if not result.pods:
        return ["no pod was deployed from here"]
    return [f"{one.pod}  {one.line}" for one in result.backups]


async def _single(
    run: Run, account: "MarketAccount", wanted: "WatchOptions", pause_s: float
) -> "WatchResult":
    """One round, then the backups that are due; while these are made, a round after every *pause_s* seconds.

    Raises what hinders the first round; the result is all of them as one.
    """
    from dataclasses import replace

    import trio

    from trustedpods.protocol.errors import TrustedPodsError
    from trustedpods.publisher.parallel import open_nursery
    from trustedpods.publisher.verbs.backups.scheduled import make_due
    from trustedpods.publisher.verbs.backups.states import states
    from trustedpods.publisher.verbs.watch import watch_round

    result = await watch_round(account, wanted, run.journal)
    made = trio.Event()
    hindered: list[TrustedPodsError] = []

    async def backups() -> None:
        try:
            await make_due(account, wanted.names, run.journal)
        except TrustedPodsError as error:
            hindered.append(error)  # raised below: a round that pays is not cut off by it
        made.set()

    async with open_nursery() as nursery:
        nursery.start_soon(backups)
        while True:
            with trio.move_on_after(pause_s):
                await made.wait()
            if made.is_set():
                break
            try:
                result = result.followed_by(await watch_round(account, wanted, run.journal))
            except TrustedPodsError as error:
                run.show.warning(f"this round came to nothing: {error}")
    if hindered:
        raise hindered[0]
    return replace(result, backups=states(account, wanted.names, run.journal))


async def _rounds(run: Run, account: "MarketAccount", wanted: "WatchOptions", pause_s: float) -> NoReturn:
    """Round after round with a pause of *pause_s* seconds, and backups as they become due beside them."""
    from dataclasses import replace

    import trio

    from trustedpods.protocol.errors import NetworkFailure
    from trustedpods.publisher.journal import Journal
    from trustedpods.publisher.parallel import open_nursery
    from trustedpods.publisher.verbs.backups.scheduled import follow
    from trustedpods.publisher.verbs.backups.states import states
    from trustedpods.publisher.verbs.watch import watch_round

    async with open_nursery() as nursery:
        nursery.start_soon(follow, account, wanted.names, lambda: Journal(run.show))
        while True:
            try:
                result = await watch_round(account, wanted, run.journal)
                found = states(account, wanted.names, run.journal)
                _tell_round(run, replace(result, backups=found))
            except NetworkFailure as error:
                run.show.warning(f"this round came to nothing: {error}")
            await trio.sleep(pause_s)


def _top_up(account: "MarketAccount", below_s: int | None, limit: "Funding | None") -> Any:  # noqa: ANN401
    """What the owner allows; None when nothing was said."""
    from trustedpods.protocol.errors import BadInput
    from trustedpods.publisher.core.watch import TopUp

    if below_s is None or limit is None:
        return None
    if limit.amount is None:
        raise BadInput("this is an amount of tokens, not a duration", where="--max-per-day")
    return TopUp(below_s, account.token.units(limit.amount, "--max-per-day"))


def _tell_round(run: Run, result: "WatchResult") -> None:
    """In a loop each round is one JSON object on a line of its own."""
    import json

    if run.common.as_json:
        from trustedpods.publisher.output.json_run import run_json

        click.echo(json.dumps(run_json(form_of(result), run.journal, verb=verb_typed())))
    for one in result.backups:
        if one.exit_code:
            run.show.warning(f"{one.pod}: {one.line}")
    run.journal.steps.clear()
    run.journal.events.clear()
