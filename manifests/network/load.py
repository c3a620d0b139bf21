# SPDX-License-Identifier: Apache-2.0
"""A Network file with the Pod files of its nodes: everything that is wrong in any of them, at once."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from trustedpods.manifests.documents import first_document, plain, text_of
from trustedpods.manifests.network.check import network_problems, probe_problems
from trustedpods.manifests.network.model import NetworkManifest
from trustedpods.manifests.network.order import SingleNode, single_nodes
from trustedpods.manifests.network.templates import Templates, shared_problems
from trustedpods.manifests.parse import (
    MAX_SHOWN,
    LoadedManifest,
    from_pydantic,
    load,
    place_of,
    read_manifest,
    refusal,
)
from trustedpods.manifests.problem import Location, Problem
from trustedpods.manifests.spec.pod import PodManifest, PodSpec
from trustedpods.manifests.words.files import NETWORK_KIND, OURS
from trustedpods.protocol.errors import BadInput

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LoadedNetwork(Generic[T]):
    """A Network manifest, its single nodes, and what was made of each one's pod, by the node's name."""

    manifest: NetworkManifest
    path: Path
    nodes: tuple[SingleNode, ...]
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


def load_network(path: Path, pod_of: Callable[[LoadedManifest], T]) -> LoadedNetwork[T]:
    """Read and check the Network at *path* with the pods of all its nodes, each by *pod_of* too.

    A file that nodes take as it stands is read once for all of them. Raises `BadInput` with everything that
    is wrong: in this file by file, line and field, in a pod's file or template likewise.
    """
    tree, second = first_document(text_of(read_manifest(path), path), path)
    if second is not None:
        text = f"one network per file; a second document begins at line {second}"
        raise BadInput(text, where=f"{path}:{second}", hint="write it into a file of its own")
    own = plain(tree, path)
    manifest, found = _checked(own)
    found += [
        Problem(at, f"no such file: {path.parent / name}")
        for at, name in _named_files(own)
        if not _is_file(path.parent / name)
    ]
    if manifest is not None:
        found += shared_problems(path, manifest)
    reading = _Reading(path.parent, pod_of)
    files = [path.parent / name for at, name in _named_files(own) if at[1] == "nodes"]
    reading.as_they_stand(file for file in files if _is_file(file))
    pods = reading.all(path, tree, manifest) if manifest is not None and not found else {}
    if manifest is not None and not found and not reading.wrong:
        found += probe_problems(manifest.spec, reading.specs(manifest))
    if found or reading.wrong or manifest is None:
        raise _refusal([*([refusal(path, tree, found)] if found else []), *reading.wrong.values()])
    return LoadedNetwork(manifest, path, tuple(single_nodes(manifest.spec.nodes)), pods, tree)


class _Reading(Generic[T]):
    """The pods of a network's nodes; what is `wrong` with one stands there once for all nodes alike."""

    def __init__(self, folder: Path, pod_of: Callable[[LoadedManifest], T]) -> None:
        self._folder, self._pod_of = folder, pod_of
        self.wrong: dict[str, BadInput] = {}
        self.files: dict[Path, T] = {}
        self._manifests: dict[str | Path, PodManifest] = {}

    def as_they_stand(self, files: Iterable[Path]) -> None:
        """Read each file that nodes take as it stands, once."""
        for file in dict.fromkeys(files):
            pod = self._read(partial(load, file), file)
            self.files |= {} if pod is None else {file: pod}

    def all(self, path: Path, tree: Any, manifest: NetworkManifest) -> dict[str, T]:  # noqa: ANN401 - YAML
        """The pod of each node by its name, but of those with which something is wrong."""
        pods: dict[str, T] = {}
        templates = Templates(path, tree, manifest)
        for node in single_nodes(manifest.spec.nodes):
            if node.entry.pod is not None:
                pod = self.files.get(path.parent / node.entry.pod)
            else:
                pod = self._read(partial(templates.pod, node), node.name)
            pods |= {} if pod is None else {node.name: pod}
        for problem in templates.unused():
            error = refusal(path, tree, [problem])
            self.wrong.setdefault(str(error), error)
        return pods

    def specs(self, manifest: NetworkManifest) -> dict[str, PodSpec]:
        """What each node's pod is, by the node's name; all were read."""
        found = {}
        for node in single_nodes(manifest.spec.nodes):
            file = node.entry.pod
            found[node.name] = self._manifests[node.name if file is None else self._folder / file].spec
        return found

    def _read(self, make: Callable[[], LoadedManifest], of: str | Path) -> T | None:
        """The pod *of* a node that is made from a template, or of a file that is taken as it stands."""
        try:
            loaded = make()
            self._manifests[of] = loaded.manifest
            return self._pod_of(loaded)
        except BadInput as error:
            self.wrong.setdefault(str(error), _of_node(error, of) if isinstance(of, str) else error)
            return None


def _of_node(error: BadInput, node: str) -> BadInput:
    """The same error, with the node that the template was filled in for."""
    first, newline, rest = error.what.partition("\n")
    return BadInput(f"{first} (node {node}){newline}{rest}", where=error.where, hint=error.hint)


def _checked(own: object) -> tuple[NetworkManifest | None, list[Problem]]:
    try:
        manifest = NetworkManifest.model_validate(own)
    except ValidationError as error:
        return None, list(from_pydantic(error, ()))
    return manifest, list(network_problems(manifest))


def _named_files(own: object) -> Iterator[tuple[Location, str]]:
    """The files that a Network names, also where other things are wrong with it."""
    spec = own.get("spec") if isinstance(own, dict) else None
    for part, key in (("nodes", "pod"), ("members", "card"), ("templates", "pod"), ("sharedFiles", "file")):
        entries = spec.get(part) if isinstance(spec, dict) else None
        for index, entry in _entries(entries):
            name = entry.get(key) if isinstance(entry, dict) else None
            if isinstance(name, str) and name and "\0" not in name:
                yield ("spec", part, index, key), name


def _entries(part: object) -> Iterable[tuple[int | str, object]]:
    """Places and values of a list, or of a mapping with names."""
    if isinstance(part, dict):
        return [(key, value) for key, value in part.items() if isinstance(key, str)]
    return enumerate(part) if isinstance(part, list) else ()


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
