# SPDX-License-Identifier: Apache-2.0
"""Which container runtime a node has, how ours is built, and how containerd is told of it."""

import shutil
import tomllib

import pytest

from tests.paths import ROOT
from trustedpods.localnet.cluster import binaries, container_runtime
from trustedpods.localnet.cluster.files import containerd_toml
from trustedpods.localnet.settings import Cluster, ClusterSettings, Knobs, Ports, Settings

SOURCES = ROOT / "deploy/containers"


def cluster(tmp_path, *, user_namespaces) -> Cluster:
    ports = Ports(chain=1, http=2, registry=3, metrics=4, peer=5)
    made = Settings(
        name="t",
        state=tmp_path,
        octet=7,
        clusters=(ClusterSettings(index=1, ports=ports),),
        knobs=Knobs(user_namespaces=user_namespaces),
    )
    return made.all_clusters()[0]


def runc_of(node: Cluster) -> dict:
    plugins = tomllib.loads(containerd_toml(node))["plugins"]
    return plugins["io.containerd.grpc.v1.cri"]["containerd"]["runtimes"]["runc"]


def test_without_the_option_containers_are_started_by_what_debian_has(tmp_path):
    node = cluster(tmp_path, user_namespaces=False)
    found = runc_of(node)
    assert "runtime_path" not in found
    assert "BinaryName" not in found["options"]
    assert binaries.runtime(user_namespaces=False).containerd == "containerd"


def test_with_it_by_ours_and_by_no_program_that_is_found_by_its_name(tmp_path):
    found = runc_of(cluster(tmp_path, user_namespaces=True))
    folder = binaries.containers()
    assert found["runtime_path"] == str(folder / "containerd-shim-runc-v2")
    assert found["options"]["BinaryName"] == str(folder / "runc")
    runtime = binaries.runtime(user_namespaces=True)
    assert (runtime.containerd, runtime.ctr) == (str(folder / "containerd"), str(folder / "ctr"))


def test_in_a_machines_image_it_came_with_the_rest(monkeypatch):
    monkeypatch.setenv("TRUSTEDPODS_PROGRAMS", "/image/bin")
    assert str(binaries.containers()) == "/image/bin"


@pytest.mark.parametrize("name", ["go.mod", "go.sum"])
def test_other_versions_are_another_build(tmp_path, name):
    for part in ("go.mod", "go.sum"):
        shutil.copy(SOURCES / part, tmp_path)
    assert container_runtime.digest(tmp_path) == container_runtime.digest(SOURCES)
    with (tmp_path / name).open("a") as changed:
        changed.write("\n")
    assert container_runtime.digest(tmp_path) != container_runtime.digest(SOURCES)


def test_each_program_is_built_at_its_pinned_version(tmp_path):
    asked = []
    made = container_runtime.build(lambda *words: asked.append(words), SOURCES, tmp_path)
    assert made.is_dir()
    (plain, sources, environment), (linked, _, with_c) = asked
    assert sources == SOURCES
    version = container_runtime.module_version(SOURCES, "github.com/containerd/containerd/v2")
    assert version.startswith("v2.")
    assert f"containerd/v2/version.Version={version}" in " ".join(plain)
    built = {word.rpartition("/")[2] for word in (*plain, *linked) if word.startswith("github.com/")}
    assert built == set(container_runtime.PROGRAMS)
    assert (environment["CGO_ENABLED"], with_c["CGO_ENABLED"]) == ("0", "1")
    assert "-tags=seccomp" in linked


def test_it_is_built_once_and_only_for_who_needs_it(tmp_path, monkeypatch):
    """`make setup` makes what every localnet needs; this takes minutes, and few need it."""
    asked = []

    def build(go, sources, folder):
        asked.append(sources)
        made = folder / "programs"
        made.mkdir()
        (made / "runc").write_text("a program")
        return made

    monkeypatch.setenv("TRUSTEDPODS_CACHE", str(tmp_path))
    monkeypatch.delenv("TRUSTEDPODS_PROGRAMS", raising=False)
    monkeypatch.setattr(container_runtime, "build", build)
    assert binaries.containers() not in [target for target, _, _ in binaries.for_every_localnet()]
    for _ in range(2):
        binaries.build_containers()
    assert asked == [SOURCES]
    assert (binaries.containers() / "runc").read_text() == "a program"
