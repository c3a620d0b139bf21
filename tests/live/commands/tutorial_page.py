# SPDX-License-Identifier: Apache-2.0
"""The tutorial as a list of steps: what is typed, and what it must answer.

A block marked `sh` is typed as it stands. The block marked `text` behind it has lines of the answer, in
their order; others may stand between. `…` in a line is anything, as is any run of blanks; a line that is `…`
alone only tells the reader that others come.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Step:
    """A block that is typed, the line of the page that it begins at, and what it must answer."""

    line: int
    typed: str
    answer: tuple[str, ...]


def steps(page: Path) -> list[Step]:
    """All of the page's; ValueError for an answer without a block before it, or another kind of block."""
    text, found = page.read_text(), list[Step]()
    for block in _BLOCK.finditer(text):
        line = text.count("\n", 0, block.start()) + 2
        if block[1] == "sh":
            found.append(Step(line, block[2], ()))
        elif block[1] == "text" and found and not found[-1].answer:
            found[-1] = Step(found[-1].line, found[-1].typed, tuple(block[2].splitlines()))
        else:
            raise ValueError(f"{page.name}:{line}: a block of {block[1]!r} has no place here")
    return found


def unanswered(step: Step, said: str) -> str | None:
    """The first line of the answer that *said* does not have behind those before it; None: it has all.

    Lines that the answer does not name may stand between.
    """
    left: Iterator[str] = iter(said.splitlines())
    for wanted in step.answer:
        if wanted.strip() != "…" and not any(_pattern(wanted).fullmatch(line) for line in left):
            return wanted
    return None


def _pattern(line: str) -> re.Pattern[str]:
    pieces = (r"\s+".join(map(re.escape, piece.split())) for piece in line.split("…"))
    return re.compile(r"\s*" + r".*".join(rf"\s*{piece}\s*" for piece in pieces))
