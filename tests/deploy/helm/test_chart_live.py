# SPDX-License-Identifier: Apache-2.0
"""The chart by Helm itself: linted, rendered, tried on a real API server, installed until a pod is served.

`soak`: Helm and the image are built first, which takes minutes where they are not there yet. The node is that
of a localnet without a provider.
"""

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.helm.building import chart
from tests.deploy.helm.cluster_operator import (
    IN_DAEMON,
    KEPT,
    MAY_BE_KEPT,
    NAMESPACE,
    RELEASE,
    REPOSITORY,
    ROLLOUT,
    Operator,
    answers,
    bring_image,
    of_cluster,
    publisher_of,
    serve,
    values,
)
from tests.live.clients.publisher import Deployed
from tests.live.localnet_fixture import LiveLocalnet, localnet
from tests.live.observers.waiting import until
from tests.paths import ROOT
from trustedpods.localnet.settings import Knobs

pytestmark = [pytest.mark.live, pytest.mark.soak, pytest.mark.timeout(1200)]


MOST_COMMANDS = 6
EXAMPLE_IMAGE = "registry.example.org/trusted-pods-provider"


@pytest.fixture(scope="module")
def node() -> Iterator[LiveLocalnet]:
    with localnet(knobs=Knobs(provider=False)) as running:
        yield running


def test_lint_finds_nothing() -> None:
    assert "1 chart(s) linted, 0 chart(s) failed" in chart.lint(chart.EXAMPLE)


@pytest.mark.parametrize(
    ("option", "word"),
    [
        ("domain=", "domain"),
        ("owner=0x12", "owner"),
        ("image.repository=", "repository"),
        ("prices.coreHour=two", "coreHour"),
        ("storge.size=1Gi", "storge"),
        ("runFolder=/tmp/keys", "runFolder"),
    ],
)
def test_values_that_will_not_do_are_refused_by_name(option: str, word: str) -> None:
    argv = [str(chart.helm()), "template", str(chart.CHART), "--values", str(chart.EXAMPLE), "--set", option]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert word in done.stderr


def test_answers_are_rendered_as_they_were_given() -> None:
    found = {one["kind"]: one for one in yaml.safe_load_all(chart.rendered([chart.EXAMPLE])) if one}
    data, example = found["ConfigMap"]["data"], yaml.safe_load(chart.EXAMPLE.read_text())
    assert data["market.toml"].strip() == example["market"]["file"].strip()
    assert 'core_hour = "2.5"' in data["answers.toml"]
    assert "region" not in data["answers.toml"]
    containers = found["StatefulSet"]["spec"]["template"]["spec"]["containers"]
    assert {one["image"] for one in containers} == {f"{example['image']['repository']}:0.0.0"}
    assert found["PersistentVolumeClaim"]["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


def test_what_is_rendered_is_taken_by_an_api_server(node: LiveLocalnet, tmp_path: Path) -> None:
    """Strictly: an unknown field is an error. Also in kustomize's form."""
    node.make_namespace(NAMESPACE)
    strictly = ("apply", "--dry-run=server", "--validate=strict", "-o", "name", "-n", NAMESPACE)
    taken = node.kubectl(*strictly, "-f", "-", stdin=chart.rendered([chart.EXAMPLE])).split()
    assert {one.partition("/")[0] for one in taken} == {
        "serviceaccount", "persistentvolumeclaim", "configmap", "clusterrole.rbac.authorization.k8s.io",
        "clusterrolebinding.rbac.authorization.k8s.io", "daemonset.apps", "statefulset.apps",
    }  # fmt: skip
    folder = chart.kustomize(chart.package(ROOT, tmp_path), tmp_path)
    again = node.kubectl(*strictly, "-k", str(folder)).split()
    assert sorted(map(kind_and_name, again)) == sorted(map(kind_and_name, taken))


def kind_and_name(one: str) -> str:
    """Without the hash that kustomize gives a ConfigMap's name."""
    return re.sub(r"^(configmap/.*-answers)-[0-9a-z]{10}$", r"\1", one)


@pytest.fixture
def run_folder() -> Iterator[Path]:
    """In memory, also where this machine's /run lies on a disk: no key is written there."""
    folder = Path("/run") / f"trustedpods-test-{secrets.token_hex(4)}"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
        folder.rmdir()


@pytest.fixture(scope="module")
def built(node: LiveLocalnet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with what `make chart` builds; its image is on the node."""
    out = tmp_path_factory.mktemp("chart")
    bring_image(node, chart.image_archive(ROOT, out))
    return out


def test_from_an_install_to_served_pods_over_an_upgrade_and_away_again(
    node: LiveLocalnet, built: Path, run_folder: Path, tmp_path: Path
) -> None:
    operator = Operator(node, tmp_path, [])
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(values(node, run_folder)))
    shutil.copy(node.market_file, tmp_path / "market.toml")
    shutil.copy(chart.package(ROOT, built), tmp_path / "provider.tgz")
    before = of_cluster(node)
    began = time.monotonic()
    operator.type(
        "helm", f"install {RELEASE} provider.tgz --create-namespace --values values.yaml"
        " --set-file market.file=market.toml",
    )  # fmt: skip
    operator.enter_the_market()
    first, second = (publisher_of(node, tmp_path / name) for name in ("first", "second"))
    pod = serve(first, "hello")
    say(operator, began)
    operator.keeps_tenants_apart()
    pods = [pod, serve(second, "other")]
    upgraded(operator, pods)
    for publisher in (first, second):
        publisher.close()
    operator.type("helm", f"uninstall {RELEASE} --wait")
    operator.pods_end()
    stays = of_cluster(node)
    assert stays >= KEPT
    assert stays - before <= KEPT | MAY_BE_KEPT  # another test may have made the namespace
    operator.type("kubectl", f"delete namespace {NAMESPACE} --timeout=120s")
    assert of_cluster(node) - before <= MAY_BE_KEPT


def upgraded(operator: Operator, pods: list[Deployed]) -> None:
    """The provider's pod is another one, publishers' pods are the same, and the daemon knows them."""
    was, replicas = operator.uid(), [replica(operator.node, pod) for pod in pods]
    changed = "--reuse-values --set resources.provider.requests.cpu=60m"
    operator.type("helm", f"upgrade {RELEASE} provider.tgz {changed}")
    until("another pod has its place", lambda: operator.uid() not in {"", was})
    operator.type("kubectl", ROLLOUT)
    assert all(answers(operator.node, pod) for pod in pods)
    assert [replica(operator.node, pod) for pod in pods] == replicas
    known = json.loads(operator.type("kubectl", f"{IN_DAEMON} pods -o json"))
    assert [one["phase"] for one in known] == ["serving"] * len(pods)


def replica(node: LiveLocalnet, pod: Deployed) -> str:
    """The uid of the pod's one replica."""
    return node.kubectl("get", "pods", "-n", pod.namespace, "-o", "jsonpath={.items[*].metadata.uid}")


CHANGES = [
    ("StatefulSet", "/spec/template/spec/volumes/1/hostPath/path", "runFolder"),
    ("DaemonSet", "/spec/template/spec/volumes/0/hostPath/path", "kubelet"),
    ("DaemonSet", "/spec/template/spec/containers/0/command/3", "kubelet"),
    ("DaemonSet", "/spec/template/spec/containers/0/volumeMounts/0/mountPath", "kubelet"),
]
"""A localnet's node has its folders in other places than a machine of its own."""

ANSWERS = """\
domain = "{domain}"
market = "/etc/answers/market.toml"
rpc = "{market[rpc]}"
owner = "{owner}"
kubeconfig = "/etc/trustedpods/kubeconfig"
trust = "open"
core_hour = "1"
gib_hour = "1"
public_address = "{publicAddress}"
"""


def overlay(node: LiveLocalnet, run_folder: Path, version: str) -> dict[str, Any]:
    """An operator's own kustomization."""
    places = {"runFolder": str(run_folder), "kubelet": str(node.cluster().path("kubelet"))}
    patches = [
        {
            "target": {"kind": kind},
            "patch": yaml.safe_dump([{"op": "replace", "path": path, "value": places[name]}]),
        }
        for kind, path, name in CHANGES
    ]
    return {
        "resources": ["kustomize"],
        "images": [{"name": EXAMPLE_IMAGE, "newName": REPOSITORY, "newTag": version}],
        "configMapGenerator": [
            {"name": f"{RELEASE}-answers", "behavior": "merge", "files": ["answers.toml", "market.toml"]}
        ],
        "patches": patches,
    }


def test_kustomize_brings_it_until_a_pod_is_served_and_takes_it_away(
    node: LiveLocalnet, built: Path, run_folder: Path, tmp_path: Path
) -> None:
    operator = Operator(node, tmp_path, [])
    packaged = chart.package(ROOT, built)
    chart.kustomize(packaged, tmp_path)
    version = packaged.stem.removeprefix("trusted-pods-provider-")
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(overlay(node, run_folder, version)))
    (tmp_path / "answers.toml").write_text(ANSWERS.format(**values(node, run_folder)))
    shutil.copy(node.market_file, tmp_path / "market.toml")
    before = of_cluster(node)
    began = time.monotonic()
    if f"namespace/{NAMESPACE}" not in before:
        operator.type("kubectl", f"create namespace {NAMESPACE}")
    operator.type("kubectl", "apply -k .")
    operator.enter_the_market()
    publisher = publisher_of(node, tmp_path / "publisher")
    serve(publisher, "hello")
    say(operator, began)
    publisher.close()
    operator.type("kubectl", "delete -k . --wait --timeout=120s")
    operator.pods_end()
    assert of_cluster(node) - before <= MAY_BE_KEPT | {f"namespace/{NAMESPACE}"}


def say(operator: Operator, began: float) -> None:
    """What was typed until a pod was served, and how long it took beside what else ran."""
    took, load = time.monotonic() - began, os.getloadavg()[0]
    lines = "".join(f"  {number}. {line}\n" for number, line in enumerate(operator.typed, 1))
    sys.stderr.write(
        f"{lines}{len(operator.typed)} commands, a pod is served after {took:.0f} s, load {load:.0f}\n"
    )
    assert len(operator.typed) <= MOST_COMMANDS
