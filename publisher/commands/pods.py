# SPDX-License-Identifier: Apache-2.0
"""Verbs on pods: deploy, validate, status, logs, delete."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trustedpods.publisher.commands.options import Common, Run, common, pod_name

if TYPE_CHECKING:
    from trustedpods.protocol.messages.pod import LogLines


@click.command(
    epilog="""\b
Examples:
  trustedpods deploy pod.yaml
  trustedpods deploy pod.yaml --deposit 2.5 --explain
  trustedpods deploy pod.yaml --deposit 12h --name second -o json
  trustedpods deploy pod.yaml --provider 0x70997970C51812dc3A010C7d01b50e0d17dc79C8/1
"""
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--provider", metavar="OWNER[/N]", help="Take this provider, not the cheapest.")
@click.option("--deposit", metavar="AMOUNT", help="Tokens (2.5), or a duration at full size (12h).")
@click.option("--trust", type=click.Choice(["open"]), help="Allow an operator who could read the pod.")
@click.option("--name", metavar="NAME", callback=pod_name, help="Another name than the manifest's.")
@click.option(
    "--patience",
    metavar="DURATION",
    default="60s",
    show_default=True,
    help="How long to wait for a provider that goes away in the middle.",
)
@click.option(
    "--policy",
    metavar="FILE|NAME",
    help="What evidence must show (NAME: policies/NAME.toml in your settings).",
)
@click.option("--explain", is_flag=True, help="Say of each provider what it costs or why it is left out.")
@common
def deploy(  # noqa: PLR0913, PLR0917 - click hands them over one by one
    common_options: Common,
    file: Path,
    provider: str | None,
    deposit: str | None,
    trust: Any,  # noqa: ANN401 - click has checked it
    name: str | None,
    patience: str,
    policy: str | None,
    explain: bool,
) -> None:
    """Run the pod of a manifest FILE at the cheapest provider that matches and answers.

    The provider's hardware evidence is verified before anything is sent. Run it again after any
    failure: it meets the same channel and sends only what is missing.
    """
    run = Run(common_options)

    async def work() -> None:
        """Cheap things first: a wrong manifest or a missing market is said before slow imports."""
        from trustedpods.publisher.context import cache_dir
        from trustedpods.publisher.core.money import parse_duration, parse_funding
        from trustedpods.publisher.pod import read_pod

        funding = None if deposit is None else parse_funding(deposit, "--deposit")
        patience_s = parse_duration(patience, "--patience")
        with run.journal.step("manifest") as step:
            pod = read_pod(file, cache_dir(), name, trust)
            step.facts |= {"images": pod.digests, "image_bytes": pod.image_bytes}
        with run.journal.step("start"):
            opening = run.account()
            from trustedpods.publisher.core.select import parse_choice
            from trustedpods.publisher.verbs.deploy import DeployOptions, deploy

            choice = None if provider is None else parse_choice(provider)
            options = DeployOptions(choice, funding, explain, policy, patience_s)
        async with opening as account:
            await deploy(options, account, pod, run.journal)
        from trustedpods.publisher.output import timing_line

        run.show.line(timing_line(run.journal))

    run.finish(work, lambda result: [endpoint["url"] for endpoint in result["endpoints"]])


@click.command(
    epilog="""\b
Example:
  trustedpods validate pod.yaml
"""
)
@click.argument("file", type=click.Path(path_type=Path))
@common
def validate(options: Common, file: Path) -> None:
    """Check a manifest FILE, the secrets and the images that it names. Talks to nobody."""
    run = Run(options)

    def work() -> None:
        from trustedpods.publisher.context import cache_dir
        from trustedpods.publisher.pod import read_pod

        pod = read_pod(file, cache_dir())
        size = pod.manifest.replica_size
        run.journal.result |= {
            "pod": pod.name,
            "valid": True,
            "images": pod.digests,
            "image_bytes": pod.image_bytes,
            "cpu_milli": size.cpu_milli,
            "memory_mib": size.memory_mib,
            "volume_mib": pod.manifest.volume_mib,
            "update": "stops-first" if pod.manifest.volume_mib else "beside",
            "trust": pod.manifest.spec.trust,
        }

    def lines(result: dict[str, Any]) -> list[str]:
        stops = ["its updates stop the version before first: it has a volume"]
        return [f"{file}: pod {result['pod']} is sound", *(stops if result["volume_mib"] else [])]

    run.guard(work, lines)


@click.command(
    epilog="""\b
Examples:
  trustedpods status web
  trustedpods status web -o json
"""
)
@click.argument("name", callback=pod_name)
@common
def status(options: Common, name: str) -> None:
    """What the pod NAME does, where it is reached, and how long its money lasts.

    Needs nothing but the key and the market: the pod is found on chain.
    """
    run = Run(options)

    async def work() -> None:
        opening = run.account()
        from trustedpods.publisher.verbs.pods import status

        async with opening as account:
            await status(account, name, run.journal)

    def lines(result: dict[str, Any]) -> list[str]:
        from trustedpods.publisher.commands.lines import status_lines

        return status_lines(result)

    run.finish(work, lines)


@click.command(
    epilog="""\b
Examples:
  trustedpods logs web
  trustedpods logs web --container app --tail 20
  trustedpods logs web --previous
"""
)
@click.argument("name", callback=pod_name)
@click.option("-c", "--container", metavar="NAME", help="Only this container.")
@click.option("--tail", type=click.IntRange(1, 10_000), default=100, show_default=True, help="Last lines.")
@click.option("-f", "--follow", is_flag=True, help="Go on as lines come.")
@click.option("-p", "--previous", is_flag=True, help="Of the runs that ended, as far as they are kept.")
@common
def logs(options: Common, name: str, container: str | None, tail: int, follow: bool, previous: bool) -> None:
    """What a container of the pod NAME wrote; where no replica runs, what the last one did.

    The end of the last three runs of each container is kept, 32 KiB of each.
    """
    run = Run(options)
    pieces: list[dict[str, object]] = []

    def write(lines: "LogLines") -> None:
        if options.as_json:
            text = lines.data.decode("utf-8", "replace")
            source = {"container": lines.container, "replica": lines.replica, "ended_at": lines.ended_at}
            pieces.append({**source, "text": text})
            return
        if lines.ended_at is not None:
            from trustedpods.publisher.commands.lines import moment

            run.show.line(f"{lines.container} of {lines.replica}, ended {moment(lines.ended_at)}:")
        sys.stdout.buffer.write(lines.data)
        sys.stdout.buffer.flush()

    async def work() -> None:
        opening = run.account()
        from trustedpods.protocol.messages.pod import LogsBody
        from trustedpods.publisher.verbs.pods import logs

        body = LogsBody(container=container, tail=tail, follow=follow, previous=previous)
        async with opening as account:
            await logs(account, name, body, write, run.journal)
        run.journal.result["logs"] = pieces

    run.finish(work, lambda _: [])


@click.command(
    epilog="""\b
Example:
  trustedpods delete web
"""
)
@click.argument("name", callback=pod_name)
@common
def delete(options: Common, name: str) -> None:
    """Remove the pod NAME with its volumes; what is left of its deposit comes back at once."""
    run = Run(options)

    async def work() -> None:
        opening = run.account()
        from trustedpods.publisher.verbs.pods import delete

        async with opening as account:
            await delete(account, name, run.journal)

    run.finish(work, lambda result: [f"{result['pod']} is removed"])
