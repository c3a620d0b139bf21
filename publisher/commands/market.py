# SPDX-License-Identifier: Apache-2.0
"""Verbs on the market: provider list, estimate."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trustedpods.publisher.commands.options import Common, Run, common, named, pod_name
from trustedpods.publisher.commands.shell.completion import complete_provider

if TYPE_CHECKING:
    from trustedpods.publisher.results.estimated import EstimateResult
    from trustedpods.publisher.results.providers import InspectResult, ProvidersResult, RenderResult


@click.group()
def provider() -> None:
    """Look at the providers of the market."""


@provider.command(
    name="list",
    epilog="""\b
Examples:
  trustedpods provider list
  trustedpods provider list --attest -o json
  trustedpods provider list --for pod.yaml
  trustedpods provider list --class sealed --region eu-west --sort answer --attest
  trustedpods provider list -o wide
""",
)
@click.option("--attest", is_flag=True, help="Dial each one and verify its evidence.")
@click.option(
    "--for",
    "file",
    type=click.Path(path_type=Path),
    help="What this manifest's pod costs at each, an hour; or why it cannot run there.",
)
@click.option("--class", "trust", type=click.Choice(["sealed", "open"]), help="Of this class alone.")
@click.option("--region", metavar="REGION", help="Of this region alone.")
@click.option("--tee", metavar="KIND", help="With this kind of hardware alone: sev-snp, tdx.")
@click.option(
    "--sort",
    "order",
    type=click.Choice(["price", "region", "answer"]),
    default="price",
    show_default=True,
    help="What comes first; `answer` is who proves itself fastest.",
)
@named
def list_(
    options: Common,
    attest: bool,
    file: Path | None,
    trust: Any,  # noqa: ANN401 - click has checked it
    region: str | None,
    tee: str | None,
    order: Any,  # noqa: ANN401 - click has checked it
) -> None:
    """All providers in the registry with their prices. A row is a claim; --attest asks for proof."""
    run = Run(options)

    async def work() -> "ProvidersResult":
        market_file = run.market()
        from trustedpods.publisher.market.market import open_market
        from trustedpods.publisher.verbs.providers import ListOptions, list_providers

        wanted = ListOptions(attest or order == "answer", trust, region, tee, order)

        pod = None
        if file is not None:
            from trustedpods.publisher.context import cache_dir
            from trustedpods.publisher.pod import read_pod

            with run.opening() as opening:
                pod = read_pod(file, cache_dir(), opening=opening)
        async with open_market(market_file) as market:
            return await list_providers(market, wanted, pod)

    def lines(result: "ProvidersResult") -> list[str]:
        from trustedpods.publisher.commands.lines.providers import provider_lines

        return provider_lines(result, wide=options.form == "wide")

    run.finish(work, lines)


@provider.command(
    epilog="""\b
Examples:
  trustedpods provider inspect 0x70997970C51812dc3A010C7d01b50e0d17dc79C8/1
  trustedpods provider inspect 0x70997970C51812dc3A010C7d01b50e0d17dc79C8 -o json
"""
)
@click.argument("target", metavar="OWNER[/N]")
@common
def inspect(options: Common, target: str) -> None:
    """What a provider offers: labels by which pods choose nodes, classes of volumes, drivers, sizes.

    Its machine is attested first; needs no key and pays nobody.
    """
    run = Run(options)

    async def work() -> "InspectResult":
        from trustedpods.publisher.core.select import parse_choice

        choice, market_file = parse_choice(target), run.market()
        from trustedpods.publisher.market.market import open_market
        from trustedpods.publisher.verbs.providers import inspect

        async with open_market(market_file) as market:
            return await inspect(market, choice)

    def lines(result: "InspectResult") -> list[str]:
        from trustedpods.publisher.commands.lines.providers import inspect_lines

        return inspect_lines(result)

    run.finish(work, lines)


@click.command(
    epilog="""\b
Examples:
  trustedpods render pod.yaml
  trustedpods render pod.yaml --provider 0x70997970C51812dc3A010C7d01b50e0d17dc79C8/1 > objects.yaml
"""
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--provider", metavar="OWNER[/N]", shell_complete=complete_provider, help="Only at this provider."
)
@click.option("--trust", type=click.Choice(["open"]), help="Allow an operator who could read the pod.")
@click.option("--name", callback=pod_name, help="Another name than the manifest's.")
@common
def render(
    options: Common,
    file: Path,
    provider: str | None,
    trust: Any,  # noqa: ANN401 - click has checked it
    name: str | None,
) -> None:
    """The Kubernetes objects that the pod of a manifest FILE becomes, as YAML.

    The provider makes them, as it would for a deploy: its machine is attested, then gets the manifest,
    sealed, without files and images. Secrets' values are not shown. Nothing is paid or kept. With your key,
    names and addresses are those that a deploy would get; without one they are made up. What fills
    volumes with seeds is not shown: it is made from the images.
    """
    run = Run(options)

    async def work() -> "RenderResult":
        from trustedpods.publisher.context import cache_dir
        from trustedpods.publisher.core.select import parse_choice
        from trustedpods.publisher.pod import read_pod

        with run.opening() as opening:
            pod = read_pod(file, cache_dir(), name, trust, opening)
        market_file, key = run.market(), run.key_if_any()
        from trustedpods.publisher.market.market import open_market
        from trustedpods.publisher.verbs.offers.render import render

        choice = None if provider is None else parse_choice(provider)
        async with open_market(market_file) as market:
            return await render(market, pod, None if key is None else key.secret, choice, run.journal)

    def lines(result: "RenderResult") -> list[str]:
        from trustedpods.publisher.commands.yaml_text import documents

        head = f"# pod {result.pod} at {result.provider.name}; values of secrets are not shown"
        return [head, *documents(result.objects).splitlines()]

    run.finish(work, lines)


@click.command(
    epilog="""\b
Examples:
  trustedpods estimate pod.yaml
  trustedpods estimate pod.yaml --deposit 12h -o json
"""
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--provider", metavar="OWNER[/N]", shell_complete=complete_provider, help="Only at this provider."
)
@click.option("--deposit", metavar="AMOUNT", help="Tokens (2.5), or a duration at full size (12h).")
@click.option("--trust", type=click.Choice(["open"]), help="Allow an operator who could read the pod.")
@named
def estimate(
    options: Common,
    file: Path,
    provider: str | None,
    deposit: str | None,
    trust: Any,  # noqa: ANN401 - click has checked it
) -> None:
    """What the pod of a manifest FILE would cost at each provider that `deploy` would ask.

    Prices are the registry's. Needs no key, and nothing is paid. Nobody is dialled, but for a pod that needs
    what not every provider has, as labels of nodes: then each says what it offers.
    """
    run = Run(options)

    async def work() -> "EstimateResult":
        from trustedpods.publisher.context import cache_dir
        from trustedpods.publisher.core.money import parse_funding
        from trustedpods.publisher.pod import read_pod

        funding = None if deposit is None else parse_funding(deposit, "--deposit")
        with run.opening() as opening:
            pod = read_pod(file, cache_dir(), trust=trust, opening=opening)
        market_file = run.market()
        from trustedpods.publisher.core.select import parse_choice
        from trustedpods.publisher.market.market import open_market
        from trustedpods.publisher.verbs.estimate import estimate

        choice = None if provider is None else parse_choice(provider)
        async with open_market(market_file) as market:
            return await estimate(market, pod, choice, funding)

    def lines(result: "EstimateResult") -> list[str]:
        from trustedpods.publisher.commands.manifests.estimate_lines import estimate_lines

        return estimate_lines(result)

    run.finish(work, lines)
