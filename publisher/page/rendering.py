# SPDX-License-Identifier: Apache-2.0
"""Views become HTML: templates that escape everything, and refuse a name that a view does not have."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from trustedpods.publisher.core.money import duration_text
from trustedpods.publisher.page import charts
from trustedpods.publisher.page.market_view import MarketView
from trustedpods.publisher.page.pod_view import PodView
from trustedpods.publisher.page.pods_view import PodsView
from trustedpods.publisher.page.readings import Reading
from trustedpods.publisher.page.texts import clean, when

T = TypeVar("T")

FOLDER = Path(__file__).parent

STATIC = {"page.css": "text/css", "live.js": "text/javascript", "icon.svg": "image/svg+xml"}
"""Files that a page loads, each with its type."""

TEMPLATES = Environment(
    loader=FileSystemLoader(FOLDER / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True, slots=True)
class ReadingView:
    """How old what is shown is, and why it is not newer. `waiting`: it was never read."""

    subject: str
    waiting: bool
    at: str
    age: str
    trouble: str
    advice: str
    failed_at: str


def reading_view(subject: str, reading: Reading[T]) -> ReadingView:
    """Texts about a reading of *subject*; its age is counted up to the try that failed."""
    error = reading.error
    age_s = max(0, int((reading.failed_at or 0) - (reading.at or 0)))
    return ReadingView(
        subject=subject,
        waiting=reading.value is None and error is None,
        at="" if reading.at is None else when(reading.at),
        age=duration_text(age_s),
        trouble="" if error is None else clean(error.text),
        advice="" if error is None else clean(error.hint or ""),
        failed_at=when(reading.failed_at),
    )


def page(
    folder: str, here: str, title: str, reading: ReadingView, view: MarketView | PodsView | PodView | None
) -> str:
    """The page *here* (`market`, `pods` or `pod`) below *folder*; without a *view* while none is known."""
    return TEMPLATES.get_template(f"{here}.html").render(
        folder=folder,
        here=here,
        title=title,
        reading=reading,
        view=view,
        chart_width=charts.WIDTH,
        chart_height=charts.HEIGHT,
        bar_width=charts.BAR - charts.GAP,
    )


def note(title: str, text: str) -> str:
    """A page that only says something: it is shown to who may not look, too."""
    return TEMPLATES.get_template("note.html").render(title=title, text=text)


def static(name: str) -> bytes | None:
    """A file that a page loads; None where there is none of this name."""
    return (FOLDER / "static" / name).read_bytes() if name in STATIC else None
