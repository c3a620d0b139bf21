# SPDX-License-Identifier: Apache-2.0
"""SetupAnswers that are missing are asked for, or named in one error; together they are a choice."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from trustedpods.contracts.market_file import read_market
from trustedpods.contracts.records import Market
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.messages.provider import Prices
from trustedpods.provider.config import ProviderConfig
from trustedpods.provider.setup.answers import SetupAnswers, answered
from trustedpods.provider.setup.configuration import DATA
from trustedpods.provider.setup.facts import ClusterFound, MarketFound
from trustedpods.provider.setup.market_prices import tokens_text
from trustedpods.provider.setup.plan import priced, suggested
from trustedpods.provider.setup.report import market_lines

Ask = Callable[[str, str | None], str]
"""Asks a person a question; the second is taken where nothing is said (None: there is no such thing)."""

NOTHING = "-"
"""What a person types who wants to leave an answer out."""


@dataclass(frozen=True, slots=True)
class Asking:
    """Whom to ask, and how a person is told what helps to answer.

    Without *ask* nobody is asked: prices are the market's middle ones where *usual*, and what is missing then
    is one error.
    """

    ask: Ask | None = None
    usual: bool = False
    told: Callable[[str], None] = field(default=lambda _line: None)


_QUESTIONS = {
    "domain": ("The domain under which pods are reached (*.DOMAIN must lead here)", None),
    "market": ("The market: a file with its contracts", "/etc/trustedpods/market.toml"),
    "rpc": ("The chain's node (http or https)", None),
    "owner": ("The owner's address, which is paid; its key stays elsewhere", None),
    "region": ("A short word for where this is", NOTHING),
    "data": ("The folder for books, blobs and images", DATA),
}


NOBODY = Asking()


def asked(asking: Asking, answers: SetupAnswers, existing: ProviderConfig | None) -> SetupAnswers:
    """The answers with those that were missing; BadInput names all that nobody gave. Settings answer all."""
    missing = []
    for name, (question, default) in _QUESTIONS.items():
        if getattr(answers, name) is not None or existing is not None:
            continue
        if name == "rpc" and answers.market and read_market(Path(answers.market))[1]:
            continue
        if asking.ask is not None:
            answers = _answer(asking.ask, name, question, default, answers)
        elif name in {"region", "data"}:
            continue
        else:
            missing.append(name)
    if missing:
        raise BadInput(
            f"not answered: {', '.join(missing)}",
            hint="give them as flags or in a file (--answers), or run it at a terminal, which asks",
        )
    return answers


def asked_user_namespaces(asking: Asking, answers: SetupAnswers, cluster: ClusterFound) -> bool:
    """Whether pods are to have user ids of their own; it is asked where all nodes say that they can.

    Where nobody is asked, and what is usual is not to be taken, they have the node's: some volumes cannot be
    mounted otherwise.
    """
    if answers.user_namespaces is not None:
        return answers.user_namespaces
    if asking.ask is None or not cluster.user_namespaces:
        return asking.usual and cluster.user_namespaces
    question = "Give each pod user ids of its own outside (yes or no); the nodes say that they can"
    return _is_yes(asking.ask(question, "yes"))


def _is_yes(said: str) -> bool:
    return said.strip().lower() in {"y", "yes"}


def may_make_account(asking: Asking, path: str, *, named: bool) -> bool:
    """Whether the cluster of the kubeconfig at *path* may be changed.

    Where nobody is asked, only one that was *named* in this run's answers, or by `--yes`: one that was merely
    found may be another's.
    """
    if asking.ask is None:
        return asking.usual or named
    question = f"The daemon cannot read {path}. Make an account for it in that cluster (yes or no)"
    return _is_yes(asking.ask(question, "yes"))


def _answer(ask: Ask, name: str, question: str, default: str | None, answers: SetupAnswers) -> SetupAnswers:
    said = ask(question, default)
    return answers if said == NOTHING else answered(**{name: said}).over(answers)


def market_of(answers: SetupAnswers, existing: ProviderConfig | None) -> tuple[Market, str]:
    """Contracts and node: of the file, where one is named, else of the settings."""
    if answers.market is not None:
        market, named = read_market(Path(answers.market))
        rpc = answers.rpc or named
        assert rpc is not None  # asked for above
        return market, rpc
    assert existing is not None
    return existing.market.market, answers.rpc or existing.market.rpc


def asked_prices(
    asking: Asking,
    answers: SetupAnswers,
    existing: ProviderConfig | None,
    market: MarketFound,
    cluster: ClusterFound,
) -> Prices:
    """Prices of answers or settings, else asked for, or the market's; BadInput where there are none."""
    prices = priced(answers, existing, market)
    if prices is not None:
        return prices
    usual = suggested(market)
    texts = usual and [tokens_text(one, market.decimals).replace(",", "") for one in usual]
    names = ("core_hour", "gib_hour")
    if asking.ask is not None:
        for line in market_lines(market, cluster):
            asking.told(line)
        for place, name in enumerate(names):
            if getattr(answers, name) is None:
                question = f"Price of a {name.replace('_', '-').replace('gib', 'GiB')}, in {market.symbol}"
                answers = _answer(asking.ask, name, question, texts[place] if texts else None, answers)
    elif asking.usual and texts:
        answers = answers.over(answered(**dict(zip(names, texts, strict=True))))
    prices = priced(answers, existing, market)
    if prices is None:
        why = "" if texts else ", and nobody in the market offers the like, to follow"
        raise BadInput(
            f"not answered: core_hour, gib_hour{why}",
            hint="--core-hour 2.5 --gib-hour 0.5, in tokens"
            + ("; or --yes, which takes the market's middle" if texts else ""),
        )
    return prices
