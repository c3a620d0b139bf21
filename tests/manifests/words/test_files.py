# SPDX-License-Identifier: Apache-2.0
"""Files of other kinds are told as what they are, with the line, and where their words go."""

from pathlib import Path

import pytest

from trustedpods.manifests.parse import load
from trustedpods.manifests.words.files import KINDS, other_file
from trustedpods.protocol.errors import BadInput

FILES = {
    "Deployment and Service": (
        "# by hand\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: shop}\nspec: {template: {}}\n"
        "---\napiVersion: v1\nkind: Service\n",
        "this is a Kubernetes Deployment: copy its `spec.template.spec`",
        2,
    ),
    "Pod": ("apiVersion: v1\nkind: Pod\nspec: {}\n", "this is a Kubernetes Pod", 1),
    "Job": ("kind: Job\napiVersion: batch/v1\n", "stands in `initContainers`", 1),
    "CronJob": ("kind: CronJob\napiVersion: batch/v1\n", "waits for its time itself", 1),
    "Knative": ("apiVersion: serving.knative.dev/v1\nkind: Service\n", "copy its `spec.template.spec`", 1),
    "a kind of somebody's": ("apiVersion: example.org/v1\nkind: Widget\n", "the cluster's", 1),
    "Compose": ("services:\n  web: {image: nginx}\n", "this is a Compose file", 1),
    "old Compose": ("version: '3.8'\nservices: {web: {build: .}}\n", "this is a Compose file", 1),
    "SDL": (
        "version: '2.0'\nservices: {}\nprofiles: {}\ndeployment: {}\n",
        "this is a deployment of Akash's (SDL)",
        1,
    ),
    "containers at the top": ("containers: []\nvolumes: []\n", "has `containers` at its top", 1),
    "ECS": ("family: shop\ncontainerDefinitions: []\n", "this is a task of ECS", 1),
    "chart": ("apiVersion: v2\nname: shop\nversion: 1.0.0\n", "`helm template`", 1),
    "workflow": ("name: test\n'on': push\njobs: {}\n", "this is a workflow of GitHub's", 1),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_another_kind(tmp_path: Path, name: str) -> None:
    text, words, line = FILES[name]
    path = tmp_path / "file.yaml"
    path.write_text(text)
    with pytest.raises(BadInput) as refused:
        load(path)
    assert words in refused.value.what
    assert refused.value.where == f"{path}:{line}"


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_the_table_is_told(kind: str) -> None:
    assert other_file({"apiVersion": "v1", "kind": kind}) == f"this is a Kubernetes {kind}: {KINDS[kind]}"


@pytest.mark.parametrize(
    "tree",
    [
        {"apiVersion": "trustedpods/v1", "kind": "Pot"},
        {"kind": "Pod", "metadata": {}, "spec": {}},
        {"metadata": {"name": "x"}, "spec": {}, "services": {}},
        {1: 2},
        {},
        [],
        "FROM debian",
        None,
    ],
)
def test_a_manifest_of_ours_is_ours_however_wrong(tree: object) -> None:
    assert other_file(tree) is None
