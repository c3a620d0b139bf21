# SPDX-License-Identifier: Apache-2.0
"""`deploy --choose`: a person sees what a pod costs at each provider, and says which one takes it."""

import sys
from typing import TYPE_CHECKING

import trio

from trustedpods.protocol.errors import BadInput
from trustedpods.publisher.commands.manifests.estimate_lines import estimate_lines
from trustedpods.publisher.core.select import Choice
from trustedpods.publisher.output.terminal import ask_number
from trustedpods.publisher.verbs.estimate import estimate

if TYPE_CHECKING:
    from trustedpods.publisher.core.money import Funding
    from trustedpods.publisher.market.market import OpenMarket
    from trustedpods.publisher.pod import Pod
    from trustedpods.publisher.results.estimated import EstimateResult


def check_choosing(provider: str | None, *, as_json: bool) -> None:
    """Raises BadInput where a provider is named already, or nobody is there to choose."""
    if provider is not None:
        raise BadInput("--provider names the one to take", where="--choose", hint="leave out one of the two")
    if as_json or not sys.stdin.isatty():
        raise BadInput(
            "nobody is at a terminal to choose",
            where="--choose",
            hint="`--provider OWNER/N` names one; without it the cheapest is taken",
        )


async def chosen(market: "OpenMarket", pod: "Pod", funding: "Funding | None") -> Choice:
    """The provider that the person at the terminal names by its number. Raises as `estimate` does."""
    offers = await estimate(market, pod, funding=funding)
    return await trio.to_thread.run_sync(_ask, offers, abandon_on_cancel=True)  # type: ignore[call-arg]  # old stubs


def _ask(result: "EstimateResult") -> Choice:
    number = ask_number("Which provider", numbered(result), len(result.offers))
    provider = result.offers[number - 1].provider
    return Choice(provider.owner, provider.daemon)


def numbered(result: "EstimateResult") -> list[str]:
    """What `estimate` shows, with a number before each provider that can be taken."""
    size, header, *rest = estimate_lines(result)
    count = len(result.offers)
    width = len(str(count)) + 2
    offers = [f"{number:<{width}}{line}" for number, line in enumerate(rest[:count], 1)]
    return [size, " " * width + header, *offers, *rest[count:]]
