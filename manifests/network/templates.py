# SPDX-License-Identifier: Apache-2.0
"""The pods of nodes that are made from templates, and the files that they share, pinned by their hash."""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from trustedpods.manifests.documents import plain
from trustedpods.manifests.network.filling import Scalar, filled
from trustedpods.manifests.network.model import NetworkManifest, Template
from trustedpods.manifests.network.order import SingleNode, meant_by
from trustedpods.manifests.parse import LoadedManifest, load_made, pod_document, refusal
from trustedpods.manifests.problem import Location, Problem
from trustedpods.manifests.words.files import OURS
from trustedpods.protocol.limits import MAX_SECRET

MAX_SHARED: Final = MAX_SECRET
"""Bytes of a shared file: it comes to a pod as a secret file, whose bound this is."""


class Templates:
    """The templates of one Network file; each file is read once."""

    def __init__(self, path: Path, tree: Any, manifest: NetworkManifest) -> None:  # noqa: ANN401 - YAML
        self._path, self._tree, self._spec = path, tree, manifest.spec
        self._network = manifest.metadata.name
        self._meant = meant_by(manifest.spec.nodes)
        self._documents: dict[str, tuple[Path, Any, object]] = {}
        self._used: dict[str, set[str]] = {}

    def pod(self, node: SingleNode) -> LoadedManifest:
        """The pod of *node*, filled in and checked. Raises `BadInput` with places in the template."""
        assert node.entry.template is not None
        template = self._spec.templates[node.entry.template]
        path, tree, own = self._document(node.entry.template, template)
        made = filled(own, self._names(node, template, path.parent))
        self._used.setdefault(node.entry.template, set()).update(made.used)
        if made.problems:
            raise refusal(path, tree, made.problems)
        return load_made(path, tree, _with_single_nodes(made.tree, node.name, self._meant))

    def unused(self) -> Iterator[Problem]:
        """Values that no template asks for: most are misspelt. Of templates that were filled in."""
        for index, node in enumerate(self._spec.nodes):
            if node.template in self._used:
                yield from self._asked_by_none(node.template, node.values, ("spec", "nodes", index, "values"))
        for name, template in self._spec.templates.items():
            if name in self._used:
                yield from self._asked_by_none(name, template.values, ("spec", "templates", name, "values"))

    def _asked_by_none(self, template: str, values: Mapping[str, object], at: Location) -> Iterator[Problem]:
        for name in values:
            if f"values.{name}" not in self._used[template]:
                yield Problem((*at, name), f"template {template!r} does not ask for ${{values.{name}}}")

    def _document(self, name: str, template: Template) -> tuple[Path, Any, object]:
        """Where a template is, its document, and that in plain types; one in this file is its `spec`."""
        if name not in self._documents:
            if template.pod is None:
                own = {"apiVersion": OURS, "kind": "Pod", "metadata": {"name": name}, "spec": template.spec}
                self._documents[name] = self._path, self._tree["spec"]["templates"][name], own
            else:
                path = self._path.parent / template.pod
                tree = pod_document(path)
                self._documents[name] = path, tree, plain(tree, path)
        return self._documents[name]

    def _names(self, node: SingleNode, template: Template, folder: Path) -> dict[str, Scalar]:
        """All that a template can ask for; paths of shared files are told as from its *folder*."""
        names: dict[str, Scalar] = {
            "self.name": node.name,
            "self.number": node.number,
            "self.index": node.number - 1,
            "self.network": self._network,
        }
        names |= {f"values.{name}": value for name, value in (template.values | node.entry.values).items()}
        for file in self._spec.shared_files:
            names[f"shared.{file.name}"] = os.path.relpath(self._path.parent / file.file, folder)
        for outside in self._spec.external_nodes:
            names |= {f"external.{outside.name}.{end}": text for end, text in outside.endpoints.items()}
            if outside.identity is not None:
                names[f"external.{outside.name}.identity"] = outside.identity
        return names


def _with_single_nodes(tree: object, own: str, meant: Mapping[str, Sequence[str]]) -> object:
    """The filled template with the single nodes that `spec.network.nodes` stands for, each once.

    An entry with replicas is all of them, and the node itself is left out: so nodes of one template name
    each other alike. What else stands there is left to whoever checks it.
    """
    spec = tree.get("spec") if isinstance(tree, dict) else None
    network = spec.get("network") if isinstance(spec, dict) else None
    named = network.get("nodes") if isinstance(network, dict) else None
    if not isinstance(tree, dict) or not isinstance(named, list):
        return tree
    assert isinstance(spec, dict)
    assert isinstance(network, dict)
    single: list[object] = []
    for name in named:
        for one in meant.get(name, (name,)) if isinstance(name, str) else (name,):
            if one != own and one not in single:
                single.append(one)
    return {**tree, "spec": {**spec, "network": {**network, "nodes": single}}}


def shared_problems(path: Path, manifest: NetworkManifest) -> Iterator[Problem]:
    """Shared files that are others than their hashes say, or too large; missing ones are told before."""
    for index, shared in enumerate(manifest.spec.shared_files):
        at: Location = ("spec", "sharedFiles", index)
        try:
            with (path.parent / shared.file).open("rb") as file:
                data = file.read(MAX_SHARED + 1)
        except FileNotFoundError:
            continue
        except OSError as error:
            yield Problem((*at, "file"), f"cannot read {path.parent / shared.file}: {error.strerror}")
            continue
        found = hashlib.sha256(data).hexdigest()
        if len(data) > MAX_SHARED:
            yield Problem((*at, "file"), f"larger than {MAX_SHARED // 1024} KiB")
        elif found != shared.sha256:
            yield Problem((*at, "sha256"), f"{shared.file} has another hash: {found}")
