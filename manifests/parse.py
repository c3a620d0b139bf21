# SPDX-License-Identifier: Apache-2.0
"""From a file that may be hostile to a checked manifest; every error says file, line and field.

Sizes are bounded before anything is read, and nested or repeated YAML before it is unfolded, so
a YAML bomb or a 100 MB file costs nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.scalarfloat import ScalarFloat

from trustedpods.manifests.check import Location, Problem, problems
from trustedpods.manifests.model import PodManifest
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.limits import KIB, MAX_SECRET

MAX_MANIFEST = 128 * KIB
"""A manifest is a page or two; 128 KiB leaves room for generated ones and parses in a second."""

MAX_NODES = 10_000
"""Values after aliases are unfolded: far above any real manifest, far below a bomb."""

MAX_DEPTH = 32
"""Nesting of a PodSpec is about ten."""

MAX_SHOWN = 8
"""Problems listed at once; more would scroll the first one away."""


@dataclass(frozen=True, slots=True)
class LoadedManifest:
    """A manifest with the files it names.

    `secrets` maps a secret volume's name to its files' contents.
    """

    manifest: PodManifest
    path: Path
    secrets: dict[str, dict[str, bytes]]


def load(path: Path) -> LoadedManifest:
    """Read, parse and check the manifest at *path* and the secret files it names.

    Raises `BadInput` with file, line and field; nothing else, whatever the file holds.
    """
    text = _read_bounded(path, MAX_MANIFEST, str(path)).decode("utf-8", "replace")
    tree = _compose(text, path)
    try:
        manifest = PodManifest.model_validate(_plain(tree, _Budget(path)))
    except ValidationError as error:
        raise _refusal(path, tree, _from_pydantic(error)) from None
    if found := list(problems(manifest)):
        raise _refusal(path, tree, found)
    return LoadedManifest(manifest, path, _secrets(manifest, path, tree))


def parse_received(data: bytes) -> PodManifest:
    """The manifest inside a bundle, checked again by the provider.

    Raises `BadInput`.
    """
    try:
        manifest = PodManifest.model_validate_json(data)
    except ValidationError as error:
        raise _refusal(None, None, _from_pydantic(error)) from None
    if found := list(problems(manifest)):
        raise _refusal(None, None, found)
    return manifest


def _read_bounded(path: Path, limit: int, where: str) -> bytes:
    try:
        if not path.is_file():
            raise BadInput(
                f"no such file: {path}" if not path.exists() else f"not a file: {path}", where=where
            )
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}", where=where) from None
    if len(data) > limit:
        raise BadInput(f"{path} is larger than {limit // KIB} KiB", where=where)
    return data


def _compose(text: str, path: Path) -> Any:  # noqa: ANN401 - a YAML document can be anything
    try:
        return YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise BadInput(f"not valid YAML: {error.problem or error.context}", where=where) from None
    except (YAMLError, ValueError, RecursionError, OverflowError) as error:
        raise BadInput(f"not valid YAML: {str(error).splitlines()[0]}", where=str(path)) from None


class _Budget:
    """Counts values as aliases are unfolded."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._left = MAX_NODES

    def spend(self, depth: int) -> None:
        self._left -= 1
        if self._left < 0:
            raise BadInput(f"more than {MAX_NODES} values once aliases are unfolded", where=str(self._path))
        if depth > MAX_DEPTH:
            raise BadInput(f"nested deeper than {MAX_DEPTH} levels", where=str(self._path))


def _plain(node: Any, budget: _Budget, depth: int = 0) -> Any:  # noqa: ANN401 - as above
    """The same tree in plain types, without the positions."""
    budget.spend(depth)
    if isinstance(node, Mapping):
        return {key: _plain(value, budget, depth + 1) for key, value in node.items()}
    if isinstance(node, Sequence) and not isinstance(node, str | bytes):
        return [_plain(value, budget, depth + 1) for value in node]
    if isinstance(node, ScalarFloat):
        return float(node)
    return node


def _from_pydantic(error: ValidationError) -> Iterator[Problem]:
    for detail in error.errors(include_url=False, include_input=False, include_context=False):
        message = detail["msg"].removeprefix("Value error, ")
        if detail["type"] == "extra_forbidden":
            message = "unknown field"
        elif detail["type"] == "missing":
            message = "this field is missing"
        yield Problem(detail["loc"], message)


def _refusal(path: Path | None, tree: Any, found: Iterator[Problem] | Sequence[Problem]) -> BadInput:  # noqa: ANN401
    lines = [f"{_place(path, tree, p.location)}: {p.text}" for p in found]
    first, *others = lines
    where, what = first.split(": ", 1)
    shown = others[: MAX_SHOWN - 1]
    more = [f"... and {len(others) - len(shown)} more"] if len(others) > len(shown) else []
    return BadInput("\n".join([what, *shown, *more]), where=where)


def _place(path: Path | None, tree: Any, location: Location) -> str:  # noqa: ANN401
    field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")
    if path is None:
        return field or "manifest"
    return f"{path}:{_line(tree, location)} {field}".rstrip()


def _line(tree: Any, location: Location) -> int:  # noqa: ANN401
    """Line (from 1) of the deepest part of *location* that is in the file."""
    line = 0
    for part in location:
        if isinstance(tree, CommentedMap) and part in tree:
            line = tree.lc.key(part)[0]
        elif isinstance(tree, CommentedSeq) and isinstance(part, int) and part < len(tree):
            line = tree.lc.item(part)[0]
        else:
            break
        tree = tree[part]
    return int(line) + 1


def _secrets(manifest: PodManifest, path: Path, tree: Any) -> dict[str, dict[str, bytes]]:  # noqa: ANN401
    contents: dict[str, dict[str, bytes]] = {}
    left = MAX_SECRET
    for index, volume in enumerate(manifest.spec.volumes):
        if volume.secret is None:
            continue
        files = contents.setdefault(volume.name, {})
        for key, name in volume.secret.files.items():
            where = _place(path, tree, ("spec", "volumes", index, "secret", "files", key))
            files[key] = _read_bounded(path.parent / name, left, where)
            left -= len(files[key])
    return contents
