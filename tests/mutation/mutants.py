# SPDX-License-Identifier: Apache-2.0
"""Code with one check taken out: each refusal, each checking call, each part of a condition in turn."""

import ast
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

REFUSALS = {"refusal", "BadInput", "EvidenceRefused", "ValueError"}
CHECKS = ("need", "check", "_check", "_match", "validate")


@dataclass(frozen=True)
class Mutant:
    """The source of *file* without one check; `line` and `what` say which."""

    file: Path
    line: int
    what: str
    source: str

    def __str__(self) -> str:
        return f"{self.file.name}:{self.line}: {self.what}"


def mutants(file: Path) -> Iterator[Mutant]:
    """Every mutant of one file, in the order of its lines."""
    tree = ast.parse(file.read_text())
    for node, what in list(_targets(tree)):
        with _without(tree, node):
            source = ast.unparse(tree)
        yield Mutant(file, node.lineno, what, source)


def _targets(tree: ast.AST) -> Iterator[tuple[ast.stmt | ast.expr, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and _called(node.exc) in REFUSALS:
            yield node, f"without: {ast.unparse(node)[:90]}"
        elif isinstance(node, ast.Expr) and _called(node.value).startswith(CHECKS):
            yield node, f"without: {ast.unparse(node)[:90]}"
            yield from _parts(node.value)
        elif isinstance(node, ast.If) and _refuses(node):
            yield from _operands(node.test)


def _refuses(node: ast.If) -> bool:
    return any(isinstance(inner, ast.Raise) for inner in node.body)


def _parts(call: ast.expr) -> Iterator[tuple[ast.expr, str]]:
    """Operands of the condition in `need(a and b, ...)`."""
    if isinstance(call, ast.Call) and _called(call) == "need":
        yield from _operands(call.args[0])


def _operands(condition: ast.expr) -> Iterator[tuple[ast.expr, str]]:
    for node in ast.walk(condition):
        if isinstance(node, ast.BoolOp):
            for operand in node.values:
                yield operand, f"without `{ast.unparse(operand)[:60]}` in: {ast.unparse(node)[:90]}"


def _called(node: ast.expr | None) -> str:
    if not isinstance(node, ast.Call):
        return ""
    match node.func:
        case ast.Name(id=name):
            return name
        case ast.Attribute(attr=name):
            return name
        case _:
            return ""


@contextmanager
def _without(tree: ast.AST, target: ast.AST) -> Iterator[None]:
    """The tree lacks *target*, or passes where it stood, until the block ends."""
    parent, siblings = _place(tree, target)
    whole = list(siblings)
    at = whole.index(target)
    siblings[at : at + 1] = [] if isinstance(parent, ast.BoolOp) else [ast.Pass()]
    assert siblings, ast.unparse(target)
    try:
        yield
    finally:
        siblings[:] = whole


def _place(tree: ast.AST, target: ast.AST) -> tuple[ast.AST, list[ast.AST]]:
    """The node that holds *target*, and the list of its that it is in."""
    for node in ast.walk(tree):
        for _, value in ast.iter_fields(node):
            if isinstance(value, list) and target in value:
                return node, value
    raise AssertionError("the target is not in the tree")
