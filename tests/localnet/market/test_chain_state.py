# SPDX-License-Identifier: Apache-2.0
# mypy: disable-error-code="attr-defined"
"""Which state a chain goes on from, whatever its node was doing when it was killed."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from tests.live.observers.waiting import until
from trustedpods.localnet.market import chain_state
from trustedpods.localnet.market.chain_state import copies, keep, keep_until_end, restore


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "chain.json"


def state(block: int) -> str:
    return json.dumps({"block": {"number": hex(block)}, "accounts": {}})


def block(file: Path) -> int:
    return int(json.loads(file.read_text())["block"]["number"], 16)


def test_a_whole_state_is_left_alone(file: Path) -> None:
    file.write_text(state(7))
    inode = file.stat().st_ino
    assert restore(file) == file
    assert (block(file), file.stat().st_ino) == (7, inode)


@pytest.mark.parametrize("size", [0, 1, 20, len(state(9)) - 1])
def test_the_newest_copy_replaces_what_was_written_in_part(file: Path, size: int) -> None:
    for number in (7, 8):
        file.write_text(state(number))
        assert keep(file)
    file.write_text(state(9)[:size])
    assert restore(file) == copies(file)[0]
    assert block(file) == 8
    assert [block(copy) for copy in copies(file)] == [8, 7]


def test_a_copy_of_half_a_state_is_passed_over(file: Path) -> None:
    file.write_text(state(7))
    keep(file)
    file.write_text(state(8)[:12])
    keep(file)
    assert restore(file) == copies(file)[1]
    assert block(file) == 7


def test_a_kill_between_the_two_renames_costs_one_copy(file: Path) -> None:
    for number in (7, 8):
        file.write_text(state(number))
        keep(file)
    newest, older = copies(file)
    newest.replace(older)
    file.write_text("")
    assert restore(file) == older
    assert block(file) == 8


@pytest.mark.parametrize("text", [None, "", '{"block":', "[1]", "12"])
def test_without_a_whole_state_the_chain_begins_anew(file: Path, text: str | None) -> None:
    if text is not None:
        file.write_text(text)
    assert restore(file) is None
    assert not file.exists()


def test_a_state_that_changes_while_it_is_copied_makes_no_copy(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(state(7))
    keep(file)
    stamps = iter([(1, 1), (2, 1)])
    monkeypatch.setattr(chain_state, "_stamp", lambda _: next(stamps))
    file.write_text(state(8))
    assert not keep(file)
    assert block(copies(file)[0]) == 7


@contextmanager
def copying(file: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Copies are made while a process lives that does nothing; at the end it is killed."""
    with subprocess.Popen(["sleep", "1000"]) as process:
        descriptor = os.pidfd_open(process.pid)
        keeper = Thread(target=keep_until_end, args=(file, descriptor))
        keeper.start()
        try:
            yield process
        finally:
            process.kill()
            keeper.join()
            os.close(descriptor)


def test_every_state_is_copied_until_the_process_ends(file: Path) -> None:
    newest, older = copies(file)
    with copying(file):
        for number in (1, 2, 3):
            file.write_text(state(number))
            until("it was copied", lambda number=number: newest.exists() and block(newest) == number)
    assert block(older) == 2
    file.write_text(state(4))
    assert block(newest) == 3


def test_a_disk_without_room_leaves_the_copies(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(state(1))
    keep(file)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(chain_state.shutil, "copyfile", full)
    file.write_text(state(2))
    said: list[str] = []

    def was_said() -> bool:
        said.append(capsys.readouterr().err)
        return "No space" in "".join(said)

    with copying(file):
        until("it was said", was_said)
    assert block(copies(file)[0]) == 1


def test_the_node_gets_the_process_id_that_is_killed_and_a_whole_state(file: Path) -> None:
    file.write_text(state(5))
    keep(file)
    file.write_text("")
    script = "echo $$; cat $0"
    argv = [sys.executable, "-m", chain_state.__name__, str(file), "/bin/sh", "-c", script, str(file)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as started:
        out, words = started.communicate()
    pid, text = out.splitlines()
    assert int(pid) == started.pid
    assert json.loads(text) == json.loads(state(5))
    assert "half-written" in words
    assert started.returncode == 0
