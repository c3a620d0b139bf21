# SPDX-License-Identifier: Apache-2.0
"""Kubernetes' own NetworkPolicy suite against the embedded cluster's policy agent.

The suite and its image are built from the Kubernetes modules (cold: about eight minutes on two cores)
and kept in the cache.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live.localnet_fixture import LiveLocalnet, localnet
from trustedpods.localnet.cluster import binaries
from trustedpods.localnet.cluster import files as cluster_files
from trustedpods.localnet.commands import run
from trustedpods.localnet.settings import Knobs

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]

SOURCES = Path(__file__).parent
IMAGES = binaries.checkout() / "deploy" / "images"

AGNHOST = "docker.io/local/agnhost:2.63.0"
"""The suite's own image, as Kubernetes 1.36.3 asks for it, but under a name that needs no registry."""

SHARDS = 4
"""Specs mostly wait; each makes namespaces of its own."""

NEEDS_SCTP = "SCTPConnectivity"
"""Three specs open SCTP sockets, which the kernel under test may lack. The rules for SCTP are unit tested."""

LEAST = 47
"""Specs of the suite without those; should a later version have fewer, somebody must look."""


def built(name: str, *words: str) -> Path:
    """A program of this module, from the cache or made now."""
    digest = hashlib.sha256(
        b"".join((SOURCES / f).read_bytes() for f in ("go.mod", "go.sum", "suite_test.go"))
    )
    target = binaries.cache() / f"{name}-{digest.hexdigest()[:16]}"
    if not target.exists():
        draft = target.with_suffix(f".{os.getpid()}")
        argv = ["go", *words, "-trimpath", "-o", str(draft)]
        package = [] if words[0] == "test" else ["k8s.io/kubernetes/test/images/agnhost"]
        environment = {**os.environ, "CGO_ENABLED": "0"}
        subprocess.run([*argv, *package], cwd=SOURCES, env=environment, check=True)
        draft.replace(target)
    return target


def archive(program: Path) -> bytes:
    """The suite's image: its program and nothing else."""
    sys.path.insert(0, str(IMAGES))
    try:
        import oci
    finally:
        sys.path.remove(str(IMAGES))
    layer = {"agnhost": oci.Entry(program.read_bytes())}
    made = oci.Image(AGNHOST, [layer], entrypoint=["/agnhost"], command=["pause"], compress=False)
    found: bytes = oci.archive(made)
    return found


class Suite:
    """The suite's program against one cluster."""

    def __init__(self, program: Path, kubeconfig: Path, folder: Path) -> None:
        self._folder = folder
        repositories = folder / "repositories.yaml"
        repositories.write_text("promoterE2eRegistry: docker.io/local\n")
        self._environment = {**os.environ, "KUBE_TEST_REPO_LIST": str(repositories)}
        self._argv = [
            str(program), f"--kubeconfig={kubeconfig}", "--provider=skeleton", "--ginkgo.no-color",
            f"--ginkgo.skip={NEEDS_SCTP}", "--test.timeout=50m",
        ]  # fmt: skip

    def names(self) -> list[str]:
        """The full names of all specs that are to run."""
        self._start("list", "--ginkgo.dry-run").wait()
        return [_name(spec) for spec in self._report("list") if spec["State"] == "passed"]

    def results(self, names: list[str]) -> dict[str, str]:
        """Run the specs in shards; how each ended."""
        parts = [names[index::SHARDS] for index in range(SHARDS)]
        running = [
            self._start(f"shard-{index}", "--ginkgo.focus=" + "|".join(map(_exactly, part)))
            for index, part in enumerate(parts)
        ]
        for process in running:
            process.wait()
        found = [spec for index in range(SHARDS) for spec in self._report(f"shard-{index}")]
        return {_name(spec): spec["State"] for spec in found if spec["State"] != "skipped"}

    def _start(self, name: str, *words: str) -> "subprocess.Popen[bytes]":
        argv = [*self._argv, f"--ginkgo.json-report={self._folder / name}.json", *words]
        with (self._folder / f"{name}.log").open("wb") as log:
            return subprocess.Popen(argv, env=self._environment, stdout=log, stderr=subprocess.STDOUT)

    def _report(self, name: str) -> Iterator[dict[str, Any]]:
        for suite in json.loads((self._folder / f"{name}.json").read_bytes()):
            yield from (spec for spec in suite["SpecReports"] if spec["LeafNodeType"] == "It")


def _name(spec: dict[str, Any]) -> str:
    return " ".join([*(spec.get("ContainerHierarchyTexts") or []), spec["LeafNodeText"]])


def _exactly(name: str) -> str:
    return re.escape(name)


@pytest.fixture(scope="module")
def cluster() -> Iterator[LiveLocalnet]:
    with localnet(knobs=Knobs(provider=False)) as running:
        yield running


def test_kubernetes_own_suite_passes(cluster: LiveLocalnet, tmp_path: Path) -> None:
    image = tmp_path / "agnhost.tar"
    image.write_bytes(archive(built("conformance-agnhost", "build")))
    socket = cluster_files.containerd_socket(cluster.cluster())
    run(["ctr", "--address", socket, "--namespace", "k8s.io", "images", "import", image])
    suite = Suite(built("conformance-netpol", "test", "-c"), cluster.kubeconfig(), tmp_path)
    names = suite.names()
    assert len(names) >= LEAST
    results = suite.results(names)
    sys.stdout.write(f"NetworkPolicy conformance: {dict(Counter(results.values()))}\n")
    assert {name: results.get(name, "did not run") for name in names} == dict.fromkeys(names, "passed")
