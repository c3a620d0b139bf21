#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The file of a network that two people look after: shop.yaml, which both keep alike.

    python team.py ALICE BOB CARD [FOLDER]

ALICE founds the network and BOB is let in, both by their addresses; CARD is the file in FOLDER that Bob's
`trustedpods network card > bob.card` wrote, and no secret. FOLDER is where this file is, if none is given.
The standard library is enough.
"""

import argparse
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")


def address(text: str) -> str:
    """An account's address; ArgumentTypeError where it is none."""
    if ADDRESS.fullmatch(text) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no address: 0x and 40 hex digits")
    return text


def main() -> int:
    """Exit code 0 when the file is there, 1 where Bob's card is missing."""
    parser = argparse.ArgumentParser(description="Makes the file of a network of two people.")
    parser.add_argument("alice", metavar="ALICE", type=address)
    parser.add_argument("bob", metavar="BOB", type=address)
    parser.add_argument("card", metavar="CARD")
    parser.add_argument("folder", nargs="?", type=Path, default=HERE)
    given = parser.parse_args()
    if not (given.folder / given.card).is_file():
        sys.stderr.write(f"{given.folder / given.card} is missing: Bob types `trustedpods network card`\n")
        return 1
    text = (HERE / "shop.template.yaml").read_text()
    for word, value in (("ALICE", given.alice), ("BOB", given.bob), ("CARD", given.card)):
        text = text.replace(word, value)
    (given.folder / "shop.yaml").write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
