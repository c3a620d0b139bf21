# SPDX-License-Identifier: Apache-2.0
"""One's pods as the page lists them: what each does, where it is reached, what it costs. Pure."""

from dataclasses import dataclass

from trustedpods.protocol.ids import channel_hex
from trustedpods.protocol.local_page.texts import MAX_WORD, clean
from trustedpods.publisher.core.money import DAY_S, Token
from trustedpods.publisher.page.texts import amount, lasts, web_address
from trustedpods.publisher.results.pods import ListedPod, ListResult

MAX_PODS = 100
"""Rows that are shown; `trustedpods list` has all."""

MAX_ADDRESSES = 3
"""Of a row; the pod's own page has them all."""

LOW_S = DAY_S
"""A pod whose money lasts less than this is marked."""


@dataclass(frozen=True, slots=True)
class WebAddress:
    """Where a service is reached; `href` where a browser can go there."""

    text: str
    href: str | None

    @classmethod
    def of(cls, url: str) -> "WebAddress":
        """As a provider signed it."""
        return cls(clean(url), web_address(url))


@dataclass(frozen=True, slots=True)
class PodRow:
    """One pod, as texts. `name` is None where nobody could tell; then there is no page of it."""

    name: str | None
    called: str
    phase: str
    ready: str
    lasts: str
    low: bool
    day: str
    left: str
    provider: str
    addresses: tuple[WebAddress, ...]
    trouble: str
    advice: str


@dataclass(frozen=True, slots=True)
class PodsView:
    """The rows, and how many more there are."""

    rows: tuple[PodRow, ...]
    hidden: int


def pods_view(result: ListResult) -> PodsView:
    """Texts of all pods of the key."""
    shown = result.pods[:MAX_PODS]
    return PodsView(tuple(_row(pod, result.token) for pod in shown), len(result.pods) - len(shown))


def _row(pod: ListedPod, token: Token) -> PodRow:
    error = pod.error
    return PodRow(
        name=pod.name,
        called=clean(pod.name or channel_hex(pod.channel)),
        phase="unlocking" if pod.unlock_at else clean(pod.phase or "not known", MAX_WORD),
        ready="-" if pod.replicas is None else f"{pod.ready} of {pod.replicas}",
        lasts="-" if pod.left is None or error is not None else lasts(pod.runway_s),
        low=error is None and pod.runway_s is not None and pod.runway_s < LOW_S,
        day=amount(pod.day, token),
        left=amount(pod.left, token),
        provider=pod.provider,
        addresses=tuple(map(WebAddress.of, pod.urls[:MAX_ADDRESSES])),
        trouble="" if error is None else clean(error.text),
        advice="" if error is None else clean(error.hint or ""),
    )
