# SPDX-License-Identifier: Apache-2.0
"""docs/schemas: the JSON schema of each verb's answers, a file each, made of their forms.

python -m tests.publisher.output.answers.pages     # writes them anew
"""

import json

from tests.paths import ROOT
from trustedpods.publisher.output.answers.published import BESIDE, PUBLISHED
from trustedpods.publisher.output.answers.schema import schema

FOLDER = ROOT / "docs" / "schemas"


def pages() -> dict[str, str]:
    """Text of each file, by its name."""
    return {
        f"{verb.replace(' ', '-')}.json": json.dumps(schema(verb), indent=1) + "\n"
        for verb in (*PUBLISHED, *BESIDE)
    }


def write() -> None:
    """Write all of them, and take away those that are gone."""
    made = pages()
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.json"):
        if old.name not in made:
            old.unlink()
    for name, text in made.items():
        (FOLDER / name).write_text(text)


if __name__ == "__main__":
    write()
