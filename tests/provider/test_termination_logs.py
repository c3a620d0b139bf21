# SPDX-License-Identifier: Apache-2.0
"""What pods write into their termination logs takes no room of the node, however it was taken."""

import os
import random
import subprocess
import sys

import pytest

from trustedpods.provider import termination_logs
from trustedpods.provider.termination_logs import KEPT_BYTES, MAX_ON_DISK, trim


@pytest.fixture
def kubelet(tmp_path):
    (tmp_path / "pods" / "uid" / "containers" / "app").mkdir(parents=True)
    (tmp_path / "pods" / "uid" / "volumes" / "kubernetes.io~empty-dir" / "data").mkdir(parents=True)
    return tmp_path


def log(kubelet, name="1f2e3d4c"):
    return kubelet / "pods" / "uid" / "containers" / "app" / name


def room(file):
    return file.stat().st_blocks * 512


def test_what_a_kubelet_reads_is_kept_and_the_rest_goes(kubelet):
    short, long = log(kubelet, "a"), log(kubelet, "b")
    short.write_bytes(b"s" * KEPT_BYTES)
    long.write_bytes(random.Random(1).randbytes(5 << 20))
    begin = long.read_bytes()[:KEPT_BYTES]
    assert trim(kubelet) == [long]
    assert (short.read_bytes(), long.read_bytes()) == (b"s" * KEPT_BYTES, begin)
    assert room(long) <= MAX_ON_DISK
    assert trim(kubelet) == []


def test_who_writes_on_at_its_own_place_takes_no_more(kubelet):
    with log(kubelet).open("wb", buffering=0) as writer:
        for _ in range(3):
            writer.write(random.Random(1).randbytes(5 << 20))
            assert trim(kubelet) == [log(kubelet)]
            assert room(log(kubelet)) <= MAX_ON_DISK


def test_room_that_is_reserved_behind_the_end_goes_too(kubelet):
    log(kubelet).touch()
    subprocess.run(["fallocate", "--keep-size", "--length", "8M", log(kubelet)], check=True)
    assert (log(kubelet).stat().st_size, room(log(kubelet))) == (0, 8 << 20)
    assert trim(kubelet) == [log(kubelet)]
    assert room(log(kubelet)) == 0


def test_nothing_else_is_touched(kubelet):
    others = [
        kubelet / "pods" / "uid" / "etc-hosts",
        kubelet / "pods" / "uid" / "volumes" / "kubernetes.io~empty-dir" / "data" / "large",
        kubelet / "elsewhere",
    ]
    for file in others:
        file.write_bytes(bytes(1 << 20))
    log(kubelet).symlink_to(others[-1])
    assert trim(kubelet) == []
    assert {file.stat().st_size for file in others} == {1 << 20}


def test_a_pod_that_ends_meanwhile_is_no_error(kubelet, monkeypatch):
    log(kubelet).write_bytes(bytes(1 << 20))
    monkeypatch.setattr(termination_logs, "_files", lambda _: iter([log(kubelet, "gone"), log(kubelet)]))
    assert trim(kubelet) == [log(kubelet)]


def test_the_program_looks_at_once_and_says_what_it_cut(kubelet):
    log(kubelet).write_bytes(bytes(1 << 20))
    argv = [sys.executable, "-m", termination_logs.__name__, str(kubelet)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env={**os.environ}) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == f"cut {log(kubelet)}\n"
        finally:
            process.kill()
