# SPDX-License-Identifier: Apache-2.0
"""Which rules the code names, and with which errors: read from its text, so that none is forgotten."""

import ast
from collections import defaultdict
from functools import cache

from tests.paths import ROOT
from trustedpods.protocol import errors
from trustedpods.protocol.net import streams

ROOMS = ("publisher", "provider", "protocol", "contracts", "manifests", "deploy")

PASSED_ON = frozenset({
    "check.value", "code", "name", "reason", "reason or None", "reply.rule", "rule", "error.rule",
    "failure.rule", "refused.rule", "lost.rule", "verb", "error.rule or 'image'",
    "sendable(error.rule, 500) if error.rule else None", "'digest' if code in _DIGEST_REFUSED else code",
})  # fmt: skip
"""What stands for a rule where an error is translated or handed on."""


@cache
def _trees():
    paths = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
    return [ast.parse(path.read_text()) for path in paths]


@cache
def _constants():
    """Texts that module constants stand for, of which several may be set in one statement."""
    found = {}
    for node in (node for tree in _trees() for node in tree.body if isinstance(node, ast.Assign)):
        names, values = [node.targets[0]], [node.value]
        if isinstance(names[0], ast.Tuple) and isinstance(values[0], ast.Tuple):
            names, values = names[0].elts, values[0].elts
        for name, value in zip(names, values, strict=True):
            if (
                isinstance(name, ast.Name)
                and isinstance(value, ast.Constant)
                and isinstance(value.value, str)
            ):
                found[name.id] = value.value
    return found


@cache
def _bases():
    return {
        node.name: [base.id for base in node.bases if isinstance(base, ast.Name)]
        for tree in _trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }


def exit_code(name):
    """Of an error's class, ours or one derived from ours; None for a call that is no error."""
    found = getattr(errors, name, None)
    if isinstance(found, type) and issubclass(found, errors.TrustedPodsError):
        return int(found.exit_code)
    codes = [exit_code(base) for base in _bases().get(name, []) if base != name]
    return next((code for code in codes if code is not None), None)


@cache
def rules_raised():
    """Each rule of the code with the exit codes of the errors that name it; patterns end in `*`."""
    found = defaultdict(set)
    for rule in (streams.END, streams.RESET, streams.GONE):  # by a table: why a stream has no more
        found[rule].add(int(errors.NetworkFailure.exit_code))
    for tree in _trees():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            given = next((word.value for word in node.keywords if word.arg == "rule"), None)
            name = node.func.id if isinstance(node.func, ast.Name) else ""
            if given is not None and (rule := _rule(given)) is not None:
                found[rule] |= {exit_code(name)} - {None}
    return found


def _rule(given):
    if isinstance(given, ast.Constant):
        return given.value
    if isinstance(given, ast.JoinedStr) and isinstance(given.values[0], ast.Constant):
        return f"{given.values[0].value!s}*"
    if isinstance(given, ast.Name) and given.id in _constants():
        return _constants()[given.id]
    text = ast.unparse(given)
    assert text in PASSED_ON, f"rule={text}: name the rule by a text or a constant of its module"
    return None
