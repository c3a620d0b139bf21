# SPDX-License-Identifier: Apache-2.0
"""A Network file with the Pod files of its nodes: everything that is wrong in any of them, at once."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from trustedpods.manifests.documents import first_document, plain, text_of
from trustedpods.manifests.network.check import network_problems
from trustedpods.manifests.network.model import NetworkManifest
from trustedpods.manifests.parse import MAX_SHOWN, from_pydantic, place_of, read_manifest, refusal
from trustedpods.manifests.problem import Location, Problem
from trustedpods.manifests.words.files import NETWORK_KIND, OURS
from trustedpods.protocol.errors import BadInput

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LoadedNetwork(Generic[T]):
    """A Network manifest, and what was read of each node's own file, by the node's name."""

    manifest: NetworkManifest
    path: Path
    pods: Mapping[str, T]
    tree: Any = field(repr=False, compare=False)
    """The document, which knows the line of each of its parts."""

    def place(self, location: Location) -> str:
        """`file:line field` of a part, for an error about what it names."""
        return place_of(self.path, self.tree, location)


def is_network(path: Path) -> bool:
    """Whether the file says that it is a Network of ours; whatever else it is, others say.

    Raises `BadInput` for what is no YAML.
    """
    data = read_manifest(path)
    if NETWORK_KIND.encode() not in data:  # a Pod is read once
        return False
    tree, _ = first_document(text_of(data, path), path)
    return isinstance(tree, Mapping) and tree.get("apiVersion") == OURS and tree.get("kind") == NETWORK_KIND


def load_network(path: Path, read_pod: Callable[[Path], T]) -> LoadedNetwork[T]:
    """Read and check the Network at *path*, and by *read_pod* the file of each of its nodes, once each.

    Raises `BadInput` with everything that is wrong: in this file by file, line and field, in a node's
    own file as *read_pod* says it.
    """
    tree, second = first_document(text_of(read_manifest(path), path), path)
    if second is not None:
        text = f"one network per file; a second document begins at line {second}"
        raise BadInput(text, where=f"{path}:{second}", hint="write it into a file of its own")
    own = plain(tree, path)
    manifest, found = _checked(own)
    read: dict[Path, T] = {}
    wrong: dict[Path, BadInput] = {}
    for at, name in _named_files(own):
        file = path.parent / name
        if not _is_file(file):
            found.append(Problem(at, f"no such file: {file}"))
        elif at[-1] == "pod" and file not in read and file not in wrong:
            try:
                read[file] = read_pod(file)
            except BadInput as error:
                wrong[file] = error
    if found or wrong or manifest is None:
        raise _refusal([*([refusal(path, tree, found)] if found else []), *wrong.values()])
    pods = {node.name: read[path.parent / node.pod] for node in manifest.spec.nodes}
    return LoadedNetwork(manifest, path, pods, tree)


def _checked(own: object) -> tuple[NetworkManifest | None, list[Problem]]:
    try:
        manifest = NetworkManifest.model_validate(own)
    except ValidationError as error:
        return None, list(from_pydantic(error, ()))
    return manifest, list(network_problems(manifest))


def _named_files(own: object) -> Iterator[tuple[Location, str]]:
    """The files that a Network names, also where other things are wrong with it."""
    spec = own.get("spec") if isinstance(own, dict) else None
    for part, key in (("nodes", "pod"), ("members", "card")):
        entries = spec.get(part) if isinstance(spec, dict) else None
        for index, entry in enumerate(entries if isinstance(entries, list) else []):
            name = entry.get(key) if isinstance(entry, dict) else None
            if isinstance(name, str) and name and "\0" not in name:
                yield ("spec", part, index, key), name


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that no file system takes
        return False


def _refusal(errors: list[BadInput]) -> BadInput:
    """All of *errors* as one: where the first is, and a line for each of the others."""
    first, *others = errors
    lines = [f"{error.where}: {error.what}" for error in others]
    shown = lines[: MAX_SHOWN - 1]
    more = [f"... and {len(lines) - len(shown)} more files"] if len(lines) > len(shown) else []
    return BadInput("\n".join([first.what, *shown, *more]), where=first.where, hint=first.hint)
