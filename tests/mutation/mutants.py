# SPDX-License-Identifier: Apache-2.0
"""Code with one check taken out: each refusal, each checking call, each part of a condition in turn."""

import ast
import copy
from collections.abc import Iterator
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
    for index, (node, what) in enumerate(_targets(tree)):
        changed = copy.deepcopy(tree)
        twin, _ = list(_targets(changed))[index]
        _take_out(changed, twin)
        source = ast.unparse(ast.fix_missing_locations(changed))
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
    return ""


def _take_out(tree: ast.AST, target: ast.AST) -> None:
    for node in ast.walk(tree):
        for field, value in ast.iter_fields(node):
            if not isinstance(value, list) or target not in value:
                continue
            at = value.index(target)
            if isinstance(node, ast.BoolOp):
                del value[at]
            else:
                value[at] = ast.Pass()
            assert value, field
            return
    raise AssertionError("the target is not in the tree")
