# SPDX-License-Identifier: Apache-2.0
"""Verbs on pods: deploy, validate, list, status, delete."""

import os
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trustedpods.publisher.commands.manifests.init import (
    ImageWords,
    built_by,
    deployed_pod,
    draft_words,
    without_manifest,
)
from trustedpods.publisher.commands.options import (
    TURN_HELP,
    WAIT_HELP,
    Common,
    Run,
    agreement,
    common,
    confirmed,
    named,
    paid_by,
    pod_name,
    wait_seconds,
    waits,
)
from trustedpods.publisher.commands.shell.completion import complete_pod, complete_provider

if TYPE_CHECKING:
    from trustedpods.publisher.core.money import Token
    from trustedpods.publisher.output.json_of import Answer
    from trustedpods.publisher.results.deployed import DeployPlanResult, DeployResult
    from trustedpods.publisher.results.money import GoneResult
    from trustedpods.publisher.results.pods import (
        DeleteResult,
        ListResult,
        OutlivingVolumes,
        StatusResult,
    )
    from trustedpods.publisher.results.validated import ValidatedNetwork, ValidateResult


@click.command(
    epilog="""\b
Examples:
  trustedpods deploy pod.yaml
  trustedpods deploy hello.tar --port 8080 --env MODE=demo --volume /data=1Gi
  trustedpods deploy registry.example.org/team/app:1.2 --port 8080
  trustedpods deploy ./folder-with-a-Dockerfile --port 8080
  trustedpods deploy pod.yaml --dry-run
  trustedpods deploy pod.yaml --deposit 2.5 --explain
  trustedpods deploy pod.yaml --choose
  trustedpods deploy pod.yaml --payer safe:0x70997970C51812dc3A010C7d01b50e0d17dc79C8 --wait 2h
  trustedpods deploy pod.yaml --deposit 12h --name second -o json
  trustedpods deploy pod.yaml --provider 0x70997970C51812dc3A010C7d01b50e0d17dc79C8/1
"""
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--provider",
    metavar="OWNER[/N]",
    shell_complete=complete_provider,
    help="Take this provider, not the cheapest.",
)
@click.option("--choose", is_flag=True, help="Show what it costs at each provider, and ask which to take.")
@click.option("--deposit", metavar="AMOUNT", help="Tokens (2.5), or a duration at full size (12h).")
@click.option("--trust", type=click.Choice(["open"]), help="Allow an operator who could read the pod.")
@click.option("--name", metavar="NAME", callback=pod_name, help="Another name than the manifest's.")
@waits(WAIT_HELP + " Also for a payer: 5m for a person at a signer, 0s for a Safe, if not said.")
@click.option(
    "--policy",
    metavar="FILE|NAME",
    help="What evidence must show (NAME: policies/NAME.toml in your settings).",
)
@click.option("--explain", is_flag=True, help="Say of each provider what it costs or why it is left out.")
@click.option(
    "--dry-run", is_flag=True, help="Only say what would change: exit code 10 where that is anything."
)
@click.option("-y", "--yes", is_flag=True, help="Change what runs without being asked.")
@click.option("--start", is_flag=True, help="A pod that you stopped runs again afterwards.")
@paid_by
@built_by
@draft_words
@named
def deploy(  # noqa: PLR0913, PLR0917 - click hands them over one by one
    common_options: Common,
    file: Path,
    provider: str | None,
    choose: bool,
    deposit: str | None,
    trust: Any,  # noqa: ANN401 - click has checked it
    name: str | None,
    wait: str | None,
    policy: str | None,
    explain: bool,
    dry_run: bool,
    yes: bool,
    start: bool,
    payer: str | None,
    builder: str | None,
    words: ImageWords,
) -> None:
    """Run the pod of a manifest FILE at the cheapest provider that matches and answers.

    FILE may be an image without a manifest: an archive, an OCI folder, a folder with a Dockerfile,
    docker-daemon:NAME, podman:NAME, containerd:NAME, or a name in a registry. A manifest is made as `init`
    makes it, and shown.

    Where the pod runs already, what changes is shown first, and asked on a terminal. Without one a manifest's
    change goes on, and an image's needs --yes. A pod that `stop` stopped stays stopped, unless --start.

    The provider's hardware evidence is verified before anything is sent. Run it again after any
    failure: it meets the same channel and sends only what is missing. A provider that fails in the middle of
    a first deploy is given notice and left behind, and the next one is tried; not with --provider.
    """
    run = Run(common_options)

    async def work() -> "DeployResult | DeployPlanResult":
        """Cheap things first: a wrong manifest or a missing market is said before slow imports."""
        from trustedpods.publisher.core.money import parse_funding

        funding = None if deposit is None else parse_funding(deposit, "--deposit")
        turn_s = wait_seconds(wait)
        if choose:
            from trustedpods.publisher.commands.choosing import check_choosing, chosen

            check_choosing(provider, as_json=common_options.as_json)
        with run.journal.step("manifest") as step:
            pod = deployed_pod(file, name, trust, words, run, builder)
            step.facts |= {"images": pod.digests, "image_bytes": pod.image_bytes}
        with run.journal.step("start"):
            from trustedpods.publisher.payers.payer import find_payer

            opening = run.account(turn_s, find_payer(payer), None if wait is None else turn_s)
            from trustedpods.publisher.contexts import context_policy
            from trustedpods.publisher.core.select import parse_choice
            from trustedpods.publisher.results.deployed import DeployProgress
            from trustedpods.publisher.verbs.deploy import PATIENCE_S, DeployOptions, deploy, plan

            choice = None if provider is None else parse_choice(provider)
            agree = None if yes else agreement(run, without_terminal=not without_manifest(file))
            otherwise = context_policy(os.environ)
            patience_s = wait_seconds(wait, PATIENCE_S)
            options = DeployOptions(
                choice, funding, explain, policy, patience_s, otherwise, agree, start=start
            )
        run.progress = progress = DeployProgress()
        async with opening as account:
            if choose:
                options = replace(options, choice=await chosen(account.market, pod, funding))
            if dry_run:
                return await plan(options, account, pod, run.journal)
            deployed = await deploy(options, account, pod, progress, run.journal)
        from trustedpods.publisher.output.terminal import timing_line

        run.show.line(timing_line(run.journal))
        return deployed

    def lines(result: "DeployResult | DeployPlanResult") -> list[str]:
        from trustedpods.publisher.results.deployed import DeployPlanResult

        if isinstance(result, DeployPlanResult):
            return result.lines
        return [endpoint.url for endpoint in result.confirmed.endpoints]

    result = run.finish(work, lines)
    if dry_run and getattr(result, "effect", None) != "unchanged":
        from trustedpods.protocol.errors import ExitCode

        raise SystemExit(int(ExitCode.PLAN_HAS_CHANGES))


@click.command(
    epilog="""\b
Example:
  trustedpods validate pod.yaml
  trustedpods validate network.yaml
  trustedpods validate pod.yaml --offline
"""
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--offline", is_flag=True, help="Ask no registry: its images must be on this disk.")
@common
def validate(options: Common, file: Path, *, offline: bool) -> None:
    """Check a Pod's or a Network's FILE, the secrets and the images that it names.

    Talks to nobody, but to a registry for an image of one.
    """
    run = Run(options)

    def work() -> "ValidateResult | ValidatedNetwork":
        from trustedpods.publisher.context import cache_dir
        from trustedpods.publisher.verbs.validate import validate

        with run.opening(offline=offline) as opening:
            return validate(file, cache_dir(), opening)

    def form(result: "ValidateResult | ValidatedNetwork") -> "Answer":
        from trustedpods.publisher.output.json_validated import sound_json

        return sound_json(result)

    def lines(result: "ValidateResult | ValidatedNetwork") -> list[str]:
        from trustedpods.publisher.results.validated import ValidatedNetwork

        if isinstance(result, ValidatedNetwork):
            return [f"{file}: network {result.network} of {len(result.nodes)} nodes is sound"]
        stops = ["its updates stop the version before first: the two must not run at once"]
        warned = [f"warning: {text}" for text in result.warnings]
        return [
            f"{file}: pod {result.pod} is sound",
            *(stops if result.update == "stops-first" else []),
            *warned,
        ]

    run.guard(work, lines, form)


@click.command(
    name="list",
    epilog="""\b
Examples:
  trustedpods list
  trustedpods list -o wide
  trustedpods list --all -o json
""",
)
@click.option("--all", "ended", is_flag=True, help="Those too whose channel is closed.")
@named
def list_(options: Common, ended: bool) -> None:
    """All pods of the key: what they do, where they are reached, what they cost, how long their money lasts.

    Needs nothing but the key and the market: channels are found on chain, and providers tell the rest.
    """
    run = Run(options)

    async def work() -> "ListResult":
        opening = run.account()
        from trustedpods.publisher.verbs.running.listed import list_pods

        async with opening as account:
            return await list_pods(account, run.journal, ended=ended)

    def lines(result: "ListResult") -> list[str]:
        from trustedpods.publisher.commands.lines.pods import list_lines

        return list_lines(result, wide=options.form == "wide")

    run.finish(work, lines)


@click.command(
    epilog="""\b
Examples:
  trustedpods status web
  trustedpods status web -o wide
  trustedpods status web -o json
  trustedpods status web --check >/dev/null || echo "look at it: $?"

\b
Exit code with --check: 0 it serves, asleep or not, and its money lasts an hour; 12 the program in it fails;
7 its money is used up or nearly; 6 it does not serve, as status says why; 9 its provider does not verify;
8 the provider or the chain is silent.
"""
)
@click.argument("name", callback=pod_name, shell_complete=complete_pod)
@click.option("--check", is_flag=True, help="End with a code that says how it is.")
@common
def status(options: Common, name: str, *, check: bool) -> None:
    """What the pod NAME does, where it is reached, and how long its money lasts.

    Needs nothing but the key and the market: the pod is found on chain.
    """
    run = Run(options)

    async def work() -> "StatusResult":
        opening = run.account()
        from trustedpods.publisher.results.pods import VisitProgress
        from trustedpods.publisher.verbs.pods import status

        run.progress = progress = VisitProgress()
        async with opening as account:
            return await status(account, name, progress, run.journal)

    def lines(result: "StatusResult") -> list[str]:
        from trustedpods.publisher.commands.lines.pods import status_lines

        return status_lines(result, wide=options.form == "wide")

    done = run.finish(work, lines)
    if check:
        from trustedpods.publisher.core.watch import checked

        raise SystemExit(int(checked(done.phase, done.runway_s)))


@click.command(
    epilog="""\b
Examples:
  trustedpods delete web
  trustedpods delete database --purge
  trustedpods delete web --wait 5m
"""
)
@click.argument("name", callback=pod_name, shell_complete=complete_pod)
@waits(TURN_HELP)
@click.option("--purge", is_flag=True, help="With the volumes that would be kept; also of a deleted pod.")
@click.option("-y", "--yes", is_flag=True, help="Keep volumes, and pay for them, without being asked.")
@named
def delete(options: Common, name: str, wait: str | None, *, purge: bool, yes: bool) -> None:
    """Remove the pod NAME; what is left of its deposit comes back at once.

    Volumes that outlive it (`retain`, usual for workload: stateful) stay, and its channel goes on paying for
    them: a deploy of the same name takes them up again. A pod that was gone already is no error.
    """
    run = Run(options)

    def agree(token: "Token", kept: "OutlivingVolumes") -> bool:
        return confirmed(run, "Delete all but these volumes?", [kept.told(name, token)])

    async def work() -> "DeleteResult | GoneResult":
        opening = run.account(wait_seconds(wait))
        from trustedpods.publisher.results.pods import DeleteProgress
        from trustedpods.publisher.verbs.pods import DeleteOptions, delete

        run.progress = progress = DeleteProgress()
        asks = sys.stdin.isatty() and not (yes or options.as_json)
        async with opening as account:
            wanted = DeleteOptions(purge, partial(agree, account.token) if asks else None)
            return await delete(account, name, progress, run.journal, wanted)

    def lines(result: "DeleteResult | GoneResult") -> list[str]:
        from trustedpods.publisher.results.money import GoneResult

        if isinstance(result, GoneResult):
            return [result.line]
        but = "" if result.retained is None else " but for its volumes"
        return [f"{result.pod.name} is removed{but}"]

    run.finish(work, lines)
