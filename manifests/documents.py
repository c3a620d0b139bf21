# SPDX-License-Identifier: Apache-2.0
"""From the text of a file that may be hostile to one YAML document, in plain types and with its lines.

Nesting is bounded while it is read, and repetition while aliases are unfolded, so a YAML bomb costs nothing.
"""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.composer import Composer, ComposerError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.scalarfloat import ScalarFloat
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from trustedpods.manifests.problem import Location
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.limits import KIB

MAX_NODES = 10_000
"""Values after aliases are unfolded: far above any real manifest, far below a bomb."""

MAX_TEXTS = 512 * KIB
"""Letters of all texts and names after aliases are unfolded: twice what a manifest may have in the end, and
few aliases of one long text are far more."""

MAX_BITS = 256
"""Of a whole number: twice any quantity's, and Python refuses to write out one of thousands of digits."""

MAX_DEPTH = 32
"""Nesting of a PodSpec is about ten."""

MAX_LINE = 100
"""Characters of a line that is written, where a text can be broken at all."""

_SECOND = "but found another document"
"""How ruamel.yaml says that the file goes on after its first document."""

_BYTE_ORDER_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


def text_of(data: bytes, path: Path) -> str:
    """The file's text; `BadInput` where it is not UTF-8."""
    if (found := _BYTE_ORDER_MARKS.get(data[:2])) is not None:
        raise BadInput(f"this is {found}, not UTF-8", where=f"{path}:1", hint="save the file as UTF-8")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadInput("not UTF-8 text", where=f"{path}:{line}", hint="save the file as UTF-8") from None


def first_document(text: str, path: Path) -> tuple[Any, int | None]:
    """The file's first YAML document, and the line (from 1) where a second one begins, if there is one.

    Raises `BadInput` with the line where it is no YAML.
    """
    try:
        return _loaded(text), None
    except MarkedYAMLError as error:
        mark = error.problem_mark
        if error.problem == _SECOND and mark is not None:
            lines = text.splitlines(keepends=True)
            return first_document("".join(lines[: mark.line]), path)[0], mark.line + 1
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise BadInput(f"not valid YAML: {error.problem or error.context}", where=where) from None
    except (YAMLError, ValueError, RecursionError, OverflowError) as error:
        raise BadInput(f"not valid YAML: {str(error).splitlines()[0]}", where=str(path)) from None


def _loaded(text: str) -> Any:  # noqa: ANN401 - a YAML document can be anything
    yaml = YAML(typ="rt")
    yaml.Composer = _ShallowComposer
    return yaml.load(text)


def written(tree: Mapping[str, object]) -> str:
    """*tree*, of plain values, as a YAML document that `first_document` reads back as the same."""
    yaml, text = YAML(typ="rt"), io.StringIO()
    yaml.width = MAX_LINE
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.dump(_escaped(tree), text)
    return text.getvalue()


def _escaped(value: object) -> object:
    """*value* with texts in double quotes that hold breaks and controls: others lose U+0085 and its like."""
    if isinstance(value, Mapping):
        return {key: _escaped(below) for key, below in value.items()}
    if isinstance(value, list):
        return [_escaped(below) for below in value]
    return DoubleQuotedScalarString(value) if isinstance(value, str) and not value.isprintable() else value


def plain(tree: Any, path: Path) -> object:  # noqa: ANN401 - as above
    """*tree* in plain types, its aliases unfolded; `BadInput` where that is too much."""
    return _Unfolding(path).plain(tree)


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
    """A tree in plain types, without positions; counts values and letters as aliases are unfolded."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._left = MAX_NODES
        self._letters = MAX_TEXTS

    def plain(self, node: Any, depth: int = 0, line: int = 0) -> Any:  # noqa: ANN401 - as above
        """*node*, *depth* levels down, which stands in *line* (from 0)."""
        self._spend(depth, line)
        if isinstance(node, Mapping):
            return {
                self._weighed(k, line): self.plain(v, depth + 1, _own_line(node, k, line))
                for k, v in node.items()
            }
        if isinstance(node, Sequence) and not isinstance(node, str | bytes):
            return [self.plain(v, depth + 1, _own_line(node, i, line)) for i, v in enumerate(node)]
        if isinstance(node, ScalarFloat):
            return float(node)
        return self._weighed(node, line)

    def _weighed(self, value: Any, line: int) -> Any:  # noqa: ANN401 - as above
        """*value*, a text or a number that is not too much."""
        where = f"{self._path}:{line + 1}"
        if isinstance(value, int) and value.bit_length() > MAX_BITS:
            raise BadInput(f"a number of more than {MAX_BITS} bits", where=where)
        if isinstance(value, str | bytes):
            self._letters -= len(value)
        if self._letters < 0:
            text = f"texts of more than {MAX_TEXTS // KIB} KiB once aliases are unfolded"
            raise BadInput(text, where=where)
        return value

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


def line_of(tree: Any, location: Location) -> int:  # noqa: ANN401
    """Line (from 1) of the deepest part of *location* that is in the file."""
    line = 0
    for part in location:
        inside = isinstance(tree, CommentedSeq) and isinstance(part, int) and part < len(tree)
        if not inside and not (isinstance(tree, CommentedMap) and part in tree):
            break
        line = _own_line(tree, part, line)
        tree = tree[part]
    return line + 1
