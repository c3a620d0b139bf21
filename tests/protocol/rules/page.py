# SPDX-License-Identifier: Apache-2.0
"""docs/errors.md, drawn from the lists of rules and from where they are raised.

python -m tests.protocol.rules.page     # writes the page anew, between its markers
"""

import ast
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path

from tests.paths import ROOT
from tests.protocol.rules.raised import rules_raised
from trustedpods.contracts.client.errors import _FUNDS, _MEANINGS
from trustedpods.protocol.attestation import checks
from trustedpods.protocol.rules.money import MONEY
from trustedpods.protocol.rules.networks import NETWORKS
from trustedpods.protocol.rules.pods import PODS
from trustedpods.protocol.rules.rule import Rule
from trustedpods.protocol.rules.talking import TALKING

PAGE = ROOT / "docs" / "errors.md"
BEGIN = "<!-- drawn from protocol/rules: python -m tests.protocol.rules.page -->"
END = "<!-- end of what is drawn -->"
GROUPS: Mapping[str, Mapping[str, Rule]] = {
    "Pods": PODS,
    "Money and meters": MONEY,
    "Networks of pods": NETWORKS,
    "Talking, and the machines": TALKING,
}


def drawn() -> str:
    """The part of the page between its markers."""
    return "\n".join([*_rules(), *_checks(), *_contracts()])


def _rules() -> Iterator[str]:
    raised = rules_raised()
    for title, rules in GROUPS.items():
        yield from (
            f"## {title}",
            "",
            "| rule | code | what has happened | what to do |",
            "|---|---|---|---|",
        )
        for name, rule in sorted(rules.items()):
            codes = ", ".join(map(str, sorted(raised[name])))
            yield f"| `{name}` | {codes} | {rule.meaning} | {rule.advice} |"
        yield ""


def _checks() -> Iterator[str]:
    yield from ("## Evidence", "", "Code 9. What each check looks at:", "", "| rule | check |", "|---|---|")
    body = next(
        node
        for node in ast.parse(Path(checks.__file__).read_text()).body
        if isinstance(node, ast.ClassDef) and node.name == "Check"
    ).body
    for member, text in pairwise(body):
        if isinstance(member, ast.Assign) and isinstance(text, ast.Expr):
            assert isinstance(member.value, ast.Constant)
            assert isinstance(text.value, ast.Constant)
            yield f"| `{member.value.value!s}` | {' '.join(str(text.value.value).split())} |"
    yield ""


def _contracts() -> Iterator[str]:
    yield from ("## Contracts", "", "| error | code | what has happened | what to do |", "|---|---|---|---|")
    for name, meaning in sorted(_FUNDS.items()):
        yield f"| `{name}` | 7 | {meaning} | send tokens to the key's address, or pay in less |"
    for name, (meaning, hint) in sorted(_MEANINGS.items()):
        yield f"| `{name}` | 6 | {meaning} | {hint or ''} |"
    yield ""


def page() -> str:
    """The page as it must be: what stands around the markers stays."""
    text = PAGE.read_text()
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    return f"{before}{BEGIN}\n\n{drawn()}{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page())
