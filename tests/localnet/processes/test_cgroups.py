# SPDX-License-Identifier: Apache-2.0
"""The control groups of both versions are found; without any, nothing is done."""

import subprocess
from pathlib import Path

import pytest

from trustedpods.localnet.processes.cgroups import Tree, hierarchies

VERSION_1 = """\
tmpfs /sys/fs/cgroup tmpfs rw,relatime,mode=755 0 0
cgroup /sys/fs/cgroup/cpuset cgroup rw,relatime,cpuset 0 0
cgroup /sys/fs/cgroup/systemd cgroup rw,relatime,name=systemd 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0
"""


def test_a_hybrid_machine_has_both_versions() -> None:
    assert hierarchies(VERSION_1) == [
        (Path("/sys/fs/cgroup/cpuset"), 1),
        (Path("/sys/fs/cgroup/systemd"), 1),
        (Path("/sys/fs/cgroup/unified"), 2),
    ]


def test_version_2_alone_is_one_hierarchy() -> None:
    assert hierarchies("cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n") == [(Path("/sys/fs/cgroup"), 2)]


def fake_tree(tmp_path: Path, version: int) -> Tree:
    tree = Tree("test")
    tree._hierarchies = [(tmp_path, version)]
    return tree


def test_version_1_copies_the_cpuset_all_the_way_down(tmp_path: Path) -> None:
    for folder in ("", "tp-test", "tp-test/k1", "tp-test/parts"):
        (tmp_path / folder).mkdir(exist_ok=True)
        for file in ("cpuset.cpus", "cpuset.mems"):
            (tmp_path / folder / file).write_text("" if folder else "0-3\n")
    fake_tree(tmp_path, 1).make(["k1"])
    assert (tmp_path / "tp-test" / "k1" / "cpuset.cpus").read_text() == "0-3\n"
    assert (tmp_path / "tp-test" / "parts" / "cpuset.mems").read_text() == "0-3\n"


def test_version_2_hands_controllers_to_the_pods_group(tmp_path: Path) -> None:
    for folder in ("", "tp-test"):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / "cgroup.controllers").write_text("cpu memory pids\n")
        (tmp_path / folder / "cgroup.subtree_control").write_text("")
    fake_tree(tmp_path, 2).make(["k1"])
    for folder in ("", "tp-test"):
        assert (tmp_path / folder / "cgroup.subtree_control").read_text() == "+pids"
    assert (tmp_path / "tp-test" / "k1").is_dir()


def test_processes_are_found_in_every_branch(tmp_path: Path) -> None:
    for folder, pids in (("parts", "11\n12\n"), ("k1/kubepods/pod1", "13\n"), ("k2", "")):
        (tmp_path / "tp-test" / folder).mkdir(parents=True)
        (tmp_path / "tp-test" / folder / "cgroup.procs").write_text(pids)
    tree = fake_tree(tmp_path, 1)
    assert tree.pids() == {11, 12, 13}
    assert tree.pids("k1") == {13}
    assert tree.branches() == ["k1", "k2"]


@pytest.mark.parametrize(
    ("version", "name", "held", "runs"),
    [(1, "freezer.state", "FROZEN", "THAWED"), (2, "cgroup.freeze", "1", "0")],
)
def test_what_is_frozen_is_thawed_before_it_is_killed(
    tmp_path: Path, version: int, name: str, held: str, runs: str
) -> None:
    """The kernel ends nothing that is frozen: here a process goes once its group runs."""
    pod, beside = tmp_path / "tp-test/k1/kubepods/pod1", tmp_path / "tp-test/k2/kubepods/pod2"
    with subprocess.Popen(["sleep", "600"]) as process:
        for group in (pod, beside):
            group.mkdir(parents=True)
            (group / name).write_text(held)
        (pod / "cgroup.procs").write_text(f"{process.pid}\n")

        class Watched(Tree):
            def pids(self, below: str = "") -> set[int]:
                return super().pids(below) if process.poll() is None else set()

        tree = Watched("test")
        tree._hierarchies = [(tmp_path, version)]
        assert tree.kill("k1") == 1
        assert (pod / name).read_text() == runs
        assert (beside / name).read_text() == held


def test_without_the_right_to_make_any_nothing_is_done() -> None:
    tree = Tree("test")
    tree._hierarchies = []
    tree.make(["k1"])
    tree.join_parts(1)
    assert tree.kill() == 0
    assert tree.branches() == []
    tree.remove()
