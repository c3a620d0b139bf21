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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.helm.building import chart
from tests.live.admin.test_setup import sign_and_send
from tests.live.clients import web
from tests.live.clients.publisher import Publisher
from tests.live.localnet_fixture import LiveLocalnet, localnet
from tests.live.observers.money import Bank
from tests.live.observers.waiting import until
from tests.paths import ROOT
from trustedpods.localnet.cluster import binaries
from trustedpods.localnet.cluster import files as cluster_files
from trustedpods.localnet.market import accounts
from trustedpods.localnet.settings import Knobs
from trustedpods.protocol.errors import ExitCode

pytestmark = [pytest.mark.live, pytest.mark.soak, pytest.mark.timeout(1200)]

NAMESPACE, RELEASE = "trusted-pods", "provider"
SETUP = f"exec {RELEASE}-0 -c provider -- trustedpods-provider setup --user root --yes -o json"
COMMAND_S = 300


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
    assert sorted(again) == sorted(taken)


@dataclass(frozen=True)
class Operator:
    """Somebody with Helm, kubectl and rights in the cluster, who counts what they type."""

    node: LiveLocalnet
    folder: Path
    typed: list[str]

    def type(self, program: str, words: str, code: int = 0) -> str:
        self.typed.append(f"{program} {words}")
        kubeconfig = str(self.node.kubeconfig())
        argv = {
            "helm": [str(chart.helm()), "--kubeconfig", kubeconfig],
            "kubectl": [str(binaries.kube()), "kubectl", "--kubeconfig", kubeconfig],
        }[program]
        done = subprocess.run(
            [*argv, "--namespace", NAMESPACE, *words.split()],
            cwd=self.folder, capture_output=True, text=True, check=False, timeout=COMMAND_S,
            env={**os.environ, "HOME": str(self.folder)},
        )  # fmt: skip
        assert done.returncode == code, f"{self.typed[-1]}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout


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


def values(node: LiveLocalnet, run_folder: Path) -> dict[str, Any]:
    cluster = node.cluster()
    owner = accounts.address(accounts.owner_key(cluster))
    return {
        "image": {"repository": "docker.io/local/trusted-pods-provider", "pullPolicy": "Never"},
        "domain": "k1.example.test",
        "market": {"rpc": node.settings.rpc},
        "owner": owner,
        "prices": {"coreHour": "1", "gibHour": "1"},
        "publicAddress": cluster.node_ip,
        "storage": {"size": "1Gi"},
        "runFolder": str(run_folder),
        "terminationLogs": {"kubelet": str(cluster.path("kubelet"))},
    }


def test_from_an_install_to_a_served_pod_and_away_again(
    node: LiveLocalnet, run_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "chart"
    out.mkdir()
    bring_image(node, chart.image_archive(ROOT, out))
    packaged = chart.package(ROOT, out)
    operator = Operator(node, tmp_path, [])
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(values(node, run_folder)))
    shutil.copy(node.market_file, tmp_path / "market.toml")
    before = of_cluster(node)
    began = time.monotonic()
    operator.type(
        "helm", f"install {RELEASE} {packaged} --create-namespace --values values.yaml"
        " --set-file market.file=market.toml",
    )  # fmt: skip
    operator.type("kubectl", f"rollout status statefulset/{RELEASE} --timeout=240s")
    left = json.loads(operator.type("kubectl", SETUP, ExitCode.NO_CONTEXT))
    owner = accounts.read_key(accounts.owner_key(node.cluster()))
    for one in left["transactions"]:
        sign_and_send(node.settings.rpc, owner, one)
    assert json.loads(operator.type("kubectl", SETUP))["complete"]
    publisher = Publisher(node, Bank(node).new_account(tmp_path), tmp_path)
    pod = publisher.deploy(publisher.manifest("hello", "hello"), "--trust", "open")
    answer = web.get(pod.url, "/cgi-bin/whoami", at=f"{node.cluster().node_ip}:80")
    assert "hello from a trusted pod" in answer.text
    took = time.monotonic() - began
    sys.stderr.write(f"{len(operator.typed)} commands, a pod is served after {took:.0f} s\n")
    assert len(operator.typed) <= 6
    publisher.close()
    operator.type("helm", f"uninstall {RELEASE} --wait")
    until("its pods are gone", lambda: not node.kubectl("get", "pods", "-n", NAMESPACE, "-o", "name"))
    stays = of_cluster(node)
    assert stays >= KEPT
    assert stays - before <= KEPT | MAY_BE_KEPT  # another test may have made the namespace


KEPT = {"namespace/trusted-pods", f"persistentvolumeclaim/{RELEASE}-books"}
"""What stays by design: the namespace, and the books with the operator's key."""

MAY_BE_KEPT = {"namespace/trustedpods-system"}
"""The daemon makes it where it has an image for pods of its own."""


def of_cluster(node: LiveLocalnet) -> set[str]:
    """What a release could leave, by kind and name."""
    kinds = (
        "namespaces,clusterroles,clusterrolebindings,statefulsets,daemonsets,configmaps,serviceaccounts,pvc"
    )
    names = node.kubectl("get", kinds, "--all-namespaces", "-o", "name").split()
    ours = (one for one in names if not one.endswith(("/default", "/kube-root-ca.crt")))
    return {re.sub(r"^([a-z]+)[^/]*", r"\1", one) for one in ours}


def bring_image(node: LiveLocalnet, archive: Path) -> None:
    socket = cluster_files.containerd_socket(node.cluster())
    words = ["ctr", "--address", str(socket), "--namespace", "k8s.io", "images", "import", str(archive)]
    subprocess.run(words, check=True, capture_output=True)
