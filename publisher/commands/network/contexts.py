# SPDX-License-Identifier: Apache-2.0
"""`context`: named markets, keys, policies, payers and maps of clusters, in one file."""

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trustedpods.publisher.commands.options import Common, Run, named

if TYPE_CHECKING:
    from trustedpods.publisher.contexts import Context, Contexts
    from trustedpods.publisher.output.answers.shell import ContextJson, ContextsJson

DEFAULT_NAME = "default"
"""The context that `context map` makes where there is none yet."""


@click.group()
def context() -> None:
    """Contexts: which market and key are meant, and which provider each cluster's name is."""


@context.command(
    "list",
    epilog="""\b
Example:
  trustedpods context list
""",
)
@named
def list_contexts(options: Common) -> None:
    """All contexts; a star marks the one that holds."""
    from trustedpods.publisher.contexts import load_contexts

    Run(options).guard(lambda: load_contexts(os.environ), _lines, _form)


@context.command(
    "use",
    epilog="""\b
Examples:
  trustedpods context use work
  trustedpods context use work --market work.toml --key work.key --policy strict
""",
)
@click.argument("name")
@click.option("--policy", metavar="FILE|NAME", help="What evidence must show, where a manifest says nothing.")
@click.option("--payer", metavar="PAYER", help="Who brings deposits: ADDRESS@SIGNER or safe:ADDRESS.")
@named
def use(options: Common, name: str, policy: str | None, payer: str | None) -> None:
    """Let the context NAME hold from now on. With a file, policy or payer it is made, or changed."""
    run = Run(options)

    def work() -> "Contexts":
        from trustedpods.protocol.errors import NoContext
        from trustedpods.protocol.networks.members import check_network_name
        from trustedpods.publisher.context import KEY_VARIABLE, MARKET_VARIABLE, locate
        from trustedpods.publisher.contexts import Context, load_contexts, save_contexts
        from trustedpods.publisher.payers.payer import parse_payer

        contexts = load_contexts(os.environ)
        known = contexts.named.get(name)
        if known is None and not any((options.market, options.key, policy, payer)):
            there = ", ".join(contexts.named) or "none"
            raise NoContext(
                f"no context {name!r}; there is: {there}", hint="make it: give --market and --key"
            )
        market, key = (
            None if file is None else str(locate(what, file, variable, what, os.environ).absolute())
            for what, file, variable in (
                ("market", options.market, MARKET_VARIABLE),
                ("key", options.key, KEY_VARIABLE),
            )
        )
        held = known or Context(check_network_name(name))
        made = replace(
            held,
            market=market or held.market,
            key=key or held.key,
            policy=_absolute(policy) or held.policy,
            payer=held.payer if payer is None else (payer and str(parse_payer(payer, "--payer"))) or None,
        )
        contexts = contexts.using(made)
        save_contexts(contexts)
        return contexts

    run.guard(work, _lines, _form)


@context.command(
    "fetch",
    epilog="""\b
Examples:
  trustedpods context fetch play https://market.example.org/market.toml
  trustedpods context fetch play https://market.example.org/market.toml --sha256 9f86d081884c7d65...
""",
)
@click.argument("name")
@click.argument("url")
@click.option(
    "--sha256", metavar="HEX", help="What the file's digest must be: what tells this market of another."
)
@named
def fetch_market(options: Common, name: str, url: str, sha256: str | None) -> None:
    """Fetch the file of a market that is published at URL, and let the context NAME have it from now on.

    Kept is a file whose contracts are, by the node that it names, those of this version. Whose market it is,
    only its digest says, which is printed: compare it with what those who run the market tell, or give it by
    --sha256. A context that has another market already gets a new one by --sha256 alone.
    """
    run = Run(options)

    async def work() -> "Contexts":
        from trustedpods.protocol.errors import BadInput
        from trustedpods.protocol.networks.members import check_network_name
        from trustedpods.publisher.context import KEY_VARIABLE, locate
        from trustedpods.publisher.contexts import Context, config_dir, load_contexts, save_contexts
        from trustedpods.publisher.market import published

        if options.market is not None:
            raise BadInput("the market is the one at URL", where="--market", hint="leave it out")
        check_network_name(name)
        place = config_dir(os.environ).absolute() / published.FOLDER / f"{name}.toml"
        key = options.key and str(locate("key", options.key, KEY_VARIABLE, "key", os.environ).absolute())
        known = load_contexts(os.environ).named.get(name, Context(name))
        kept = place if known.market is None else Path(known.market)
        fetched = await published.fetch(url, sha256, place, kept=kept)
        await published.check_contracts(fetched.file, url)
        published.keep(fetched)
        contexts = load_contexts(os.environ)  # as they are now: the network took its time
        held = contexts.named.get(name, known)
        contexts = contexts.using(replace(held, market=str(place), key=key or held.key))
        save_contexts(contexts)
        run.journal.event(
            "market",
            f"chain {fetched.file.chain_id}, payments {fetched.file.payments}, token {fetched.file.token}; "
            f"sha256 {fetched.sha256}",
            sha256=fetched.sha256,
        )
        return contexts

    def under_trio() -> "Contexts":
        from trustedpods.publisher.commands import interrupts

        return interrupts.run(work)

    run.guard(under_trio, _lines, _form)


@context.command(
    "map",
    epilog="""\b
Examples:
  trustedpods context map k1=0x70997970C51812dc3A010C7d01b50e0d17dc79C8/1
  trustedpods context map k2
  trustedpods context map k2=0x70997970C51812dc3A010C7d01b50e0d17dc79C8/1@kube:admin@prod
  trustedpods context map k2=kube:admin@prod
""",
)
@click.argument("cluster", metavar="CLUSTER[=OWNER[/N[@WAY]]]")
@named
def map_cluster(options: Common, cluster: str) -> None:
    """Say which provider a CLUSTER's name is, in the context that holds.

    A WAY is another one to its daemon than the registry's: a multiaddr with its peer id, or kube:CONTEXT
    for a port-forward by the API server of that context of your kubeconfig; without OWNER/N before it the
    cluster is asked which daemon it has. Without a provider those of the market are listed, and on a terminal
    one is asked for.
    """
    run = Run(options)

    async def work() -> "Contexts":
        from trustedpods.publisher.core.networks.mapping import KUBE

        name, equals, provider = cluster.partition("=")
        if not equals:
            file = run.market()
            from trustedpods.publisher.market.market import open_market
            from trustedpods.publisher.verbs.networks.places import candidates

            async with open_market(file) as market:
                provider = choose(name, await candidates(market))
        elif provider.startswith(KUBE):
            from trustedpods.publisher.networks.port_forward import published

            provider = f"{await published(provider.removeprefix(KUBE))}@{provider}"
        return remember(name, provider)

    def under_trio() -> "Contexts":
        from trustedpods.publisher.commands import interrupts

        return interrupts.run(work)

    run.guard(under_trio, _lines, _form)


@context.command(
    "unmap",
    epilog="""\b
Example:
  trustedpods context unmap k1
""",
)
@click.argument("cluster")
@named
def unmap_cluster(options: Common, cluster: str) -> None:
    """Forget which provider a CLUSTER's name is, in the context that holds."""

    def work() -> "Contexts":
        from trustedpods.protocol.errors import NoContext
        from trustedpods.publisher.contexts import load_contexts, save_contexts

        contexts = load_contexts(os.environ)
        held = contexts.chosen
        if held is None or cluster not in held.clusters:
            there = "none" if held is None else ", ".join(held.clusters) or "none"
            raise NoContext(f"no cluster {cluster!r} is mapped; there is: {there}")
        left = {name: where for name, where in held.clusters.items() if name != cluster}
        contexts = contexts.using(replace(held, clusters=left))
        save_contexts(contexts)
        return contexts

    Run(options).guard(work, _lines, _form)


def _absolute(policy: str | None) -> str | None:
    """A policy's name, or its file from wherever it is used."""
    file = policy is not None and ("/" in policy or policy.endswith(".toml"))
    return str(Path(policy).absolute()) if policy is not None and file else policy


def choose(cluster: str, providers: Sequence[str]) -> str:
    """Which of *providers* the *cluster* is: asked on a terminal; elsewhere `NoContext` that lists them."""
    from trustedpods.protocol.errors import NoContext
    from trustedpods.publisher.output.terminal import choose_one

    if not sys.stdin.isatty():
        there = "".join(f"\n  {cluster}={one}" for one in providers) or " none"
        raise NoContext(
            f"no provider is mapped to cluster {cluster}; the market's are:{there}",
            hint=f"`trustedpods context map {cluster}=OWNER/N`, or --cluster {cluster}=OWNER/N",
        )
    if not providers:
        raise NoContext("the market has no providers", where=cluster)
    return choose_one(f"provider of cluster {cluster}", providers).split()[0]


def remember(cluster: str, provider: str) -> "Contexts":
    """Keep in the context that holds which provider the *cluster* is. `BadInput` for what is none."""
    from trustedpods.publisher.contexts import Context, load_contexts, save_contexts
    from trustedpods.publisher.core.networks.mapping import parse_cluster

    name, choice = parse_cluster(f"{cluster}={provider}", "CLUSTER")
    contexts = load_contexts(os.environ)
    held = contexts.chosen or contexts.named.get(DEFAULT_NAME) or Context(DEFAULT_NAME)
    contexts = contexts.using(replace(held, clusters={**held.clusters, name: str(choice)}))
    save_contexts(contexts)
    return contexts


def mapped() -> list[str]:
    """The clusters of the context that holds, each as NAME=OWNER[/N]."""
    from trustedpods.publisher.contexts import load_contexts

    held = load_contexts(os.environ).chosen
    return [] if held is None else [f"{name}={where}" for name, where in held.clusters.items()]


def _lines(contexts: "Contexts") -> list[str]:
    lines = []
    for name, one in contexts.named.items():
        lines.append(f"{'*' if name == contexts.current else ' '} {name}")
        lines += [f"    {what} {value}" for what, value in _parts(one).items() if value is not None]
        lines += [f"    cluster {cluster} is {provider}" for cluster, provider in one.clusters.items()]
    return lines or ["no contexts: `trustedpods context use NAME --market FILE --key FILE` makes one"]


def _form(contexts: "Contexts") -> "ContextsJson":
    return {
        "current": contexts.current,
        "contexts": {name: _context(one) for name, one in contexts.named.items()},
    }


def _context(one: "Context") -> "ContextJson":
    return {
        "market": one.market,
        "key": one.key,
        "policy": one.policy,
        "payer": one.payer,
        "clusters": dict(one.clusters),
    }


def _parts(one: "Context") -> dict[str, str | None]:
    return {"market": one.market, "key": one.key, "policy": one.policy, "payer": one.payer}
