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
from ruamel.yaml.composer import Composer, ComposerError
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
    tree = _compose(_read_manifest(path).decode("utf-8", "replace"), path)
    try:
        manifest = PodManifest.model_validate(_Unfolding(path).plain(tree))
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


def _read_manifest(path: Path) -> bytes:
    """Its bytes; of one that is too long, no more than tells where it should have ended."""
    data = _read(path, MAX_MANIFEST + 1, str(path))
    if len(data) > MAX_MANIFEST:
        line = data.count(b"\n", 0, MAX_MANIFEST) + 1
        raise BadInput(f"larger than {MAX_MANIFEST // KIB} KiB, which end here", where=f"{path}:{line}")
    return data


def _read_bounded(path: Path, limit: int, where: str) -> bytes:
    data = _read(path, limit + 1, where)
    if len(data) > limit:
        raise BadInput(f"{path} is larger than {limit // KIB} KiB", where=where)
    return data


def _read(path: Path, most: int, where: str) -> bytes:
    try:
        if not path.is_file():
            raise BadInput(
                f"no such file: {path}" if not path.exists() else f"not a file: {path}", where=where
            )
        with path.open("rb") as file:
            return file.read(most)
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}", where=where) from None


def _compose(text: str, path: Path) -> Any:  # noqa: ANN401 - a YAML document can be anything
    yaml = YAML(typ="rt")
    yaml.Composer = _ShallowComposer
    try:
        return yaml.load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise BadInput(f"not valid YAML: {error.problem or error.context}", where=where) from None
    except (YAMLError, ValueError, RecursionError, OverflowError) as error:
        raise BadInput(f"not valid YAML: {str(error).splitlines()[0]}", where=str(path)) from None


class _ShallowComposer(Composer):
    """Stops at nesting that no manifest has, before it costs seconds."""

    _depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:  # noqa: ANN401 - as the library has it
        """The node that begins with the next event."""
        self._depth += 1
        if self._depth > MAX_DEPTH + 1:
            mark = self.parser.peek_event().start_mark
            raise ComposerError(None, None, f"nested deeper than {MAX_DEPTH} levels", mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


class _Unfolding:
    """A tree in plain types, without positions; counts values as aliases are unfolded."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._left = MAX_NODES

    def plain(self, node: Any, depth: int = 0, line: int = 0) -> Any:  # noqa: ANN401 - as above
        """*node*, *depth* levels down, which stands in *line* (from 0)."""
        self._spend(depth, line)
        if isinstance(node, Mapping):
            return {k: self.plain(v, depth + 1, _own_line(node, k, line)) for k, v in node.items()}
        if isinstance(node, Sequence) and not isinstance(node, str | bytes):
            return [self.plain(v, depth + 1, _own_line(node, i, line)) for i, v in enumerate(node)]
        if isinstance(node, ScalarFloat):
            return float(node)
        return node

    def _spend(self, depth: int, line: int) -> None:
        where = f"{self._path}:{line + 1}"
        self._left -= 1
        if self._left < 0:
            raise BadInput(f"more than {MAX_NODES} values once aliases are unfolded", where=where)
        if depth > MAX_DEPTH:
            raise BadInput(f"nested deeper than {MAX_DEPTH} levels", where=where)


def _own_line(node: object, part: object, otherwise: int) -> int:
    """Line (from 0) of a key or an index of *node*; a key that was merged in (`<<`) has none."""
    known = node.lc.data if isinstance(node, CommentedMap | CommentedSeq) else None
    return int(known[part][0]) if known and part in known else otherwise


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
        inside = isinstance(tree, CommentedSeq) and isinstance(part, int) and part < len(tree)
        if not inside and not (isinstance(tree, CommentedMap) and part in tree):
            break
        line = _own_line(tree, part, line)
        tree = tree[part]
    return line + 1


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
