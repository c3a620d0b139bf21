# SPDX-License-Identifier: Apache-2.0
"""Views become HTML: templates that escape everything, and refuse a name that a view does not have."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from trustedpods.protocol.local_page import bars
from trustedpods.protocol.local_page.readings import KeptReading
from trustedpods.protocol.local_page.texts import clean, when
from trustedpods.protocol.units import duration_text

T = TypeVar("T")

FOLDER = Path(__file__).parent

STATIC = {"page.css": "text/css", "live.js": "text/javascript", "icon.svg": "image/svg+xml"}
"""Files that a page loads, each with its type."""


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


def reading_view(subject: str, reading: KeptReading[T]) -> ReadingView:
    """Texts about a reading of *subject*; its age is counted up to the try that failed."""
    error = reading.error
    age_s = max(0, int((reading.failed_at or 0) - (reading.at or 0)))
    return ReadingView(
        subject=subject,
        waiting=reading.value is None and error is None,
        at="" if reading.at is None else when(reading.at),
        age=duration_text(age_s),
        trouble="" if error is None else clean(str(error)),
        advice="" if error is None else clean(error.hint or ""),
        failed_at=when(reading.failed_at),
    )


@dataclass(frozen=True, slots=True)
class PageLink:
    """A page that every page leads to: its template's name, its path below the folder, what it is called."""

    name: str
    path: str
    title: str


class PageTemplates:
    """The pages of *command*, whose own templates lie in *folder*; *links* stand at the head of each."""

    def __init__(self, folder: Path, command: str, links: Sequence[PageLink]) -> None:
        self._environment = Environment(
            loader=FileSystemLoader([folder, FOLDER / "templates"]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.command = command
        self.links = tuple(links)

    def page(self, folder: str, here: str, title: str, reading: ReadingView, view: object | None) -> str:
        """The page of the template *here* below *folder*; without a *view* while none is known."""
        return self._environment.get_template(f"{here}.html").render(
            folder=folder,
            here=here,
            title=title,
            reading=reading,
            view=view,
            command=self.command,
            links=self.links,
            chart_width=bars.WIDTH,
            chart_height=bars.HEIGHT,
            bar_width=bars.BAR - bars.GAP,
        )

    def note(self, title: str, text: str) -> str:
        """A page that only says something: it is shown to who may not look, too."""
        return self._environment.get_template("note.html").render(title=title, text=text)


def static(name: str) -> bytes | None:
    """A file that a page loads; None where there is none of this name."""
    return (FOLDER / "static" / name).read_bytes() if name in STATIC else None
