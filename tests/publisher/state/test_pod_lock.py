# SPDX-License-Identifier: Apache-2.0
"""One verb at a time for a pod on one machine; the kernel lets go of a killed one's lock."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from trustedpods.protocol.errors import ExitCode, Locked
from trustedpods.publisher.state.pod_lock import FOLDER, pod_lock

HOLD = """
import sys, pathlib
from trustedpods.publisher.state.pod_lock import pod_lock
with pod_lock(pathlib.Path(sys.argv[1]), "market", "web", "deploy") as held:
    print(held, flush=True)
    sys.stdin.read()
"""


def holder(folder: Path) -> "subprocess.Popen[str]":
    """Another process that has the lock already."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "True\n"
    return process


def test_another_process_is_named_and_its_end_by_a_kill_frees_the_lock(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        with pytest.raises(Locked) as caught, pod_lock(tmp_path, "market", "web", "delete"):
            pass
        assert caught.value.exit_code is ExitCode.LOCKED
        said = rf"process {process.pid} \(deploy\) has it since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\dZ"
        assert re.search(said, str(caught.value))
        process.send_signal(signal.SIGKILL)
        process.wait()
        with pod_lock(tmp_path, "market", "web", "delete") as held:
            assert held


def test_other_names_and_other_markets_do_not_wait(tmp_path: Path) -> None:
    with (
        pod_lock(tmp_path, "market", "web", "deploy") as one,
        pod_lock(tmp_path, "market", "db", "deploy") as two,
        pod_lock(tmp_path, "another", "web", "deploy") as three,
    ):
        assert (one, two, three) == (True, True, True)


def test_two_verbs_of_one_process_take_turns_too(tmp_path: Path) -> None:
    with (
        pod_lock(tmp_path, "market", "web", "deploy"),
        pytest.raises(Locked, match=f"process {os.getpid()}"),
        pod_lock(tmp_path, "market", "web", "close"),
    ):
        pass


@pytest.mark.parametrize(
    "written", [b"", b"{", b"[]", b'{"pid": "x"}', b'{"pid": 1, "verb": 2, "since": 1e99}']
)
def test_a_holder_that_wrote_nonsense_is_a_holder(tmp_path: Path, written: bytes) -> None:
    with pod_lock(tmp_path, "market", "web", "deploy"):
        (file,) = (tmp_path / FOLDER).iterdir()
        file.write_bytes(written)
        with pytest.raises(Locked, match="another process"), pod_lock(tmp_path, "market", "web", "delete"):
            pass


def test_a_folder_that_takes_no_locks_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("a file where the folder would be")
    with pod_lock(tmp_path, "market", "web", "deploy") as held:
        assert not held


def test_a_verb_that_may_run_beside_it_stops_nobody(tmp_path: Path) -> None:
    with pod_lock(tmp_path, "market", "web", "backup"):
        with pod_lock(tmp_path, "market", "web", "close", beside=("backup",)) as held:
            assert held is False
        with pytest.raises(Locked), pod_lock(tmp_path, "market", "web", "close", beside=("restart",)):
            pass
        with pytest.raises(Locked), pod_lock(tmp_path, "market", "web", "deploy"):
            pass
    with pod_lock(tmp_path, "market", "web", "close", beside=("backup",)) as held:
        assert held is True
