# SPDX-License-Identifier: Apache-2.0
"""The file of unfinished transactions: what is in it comes back, whoever wrote it, or is refused whole."""

import json
import os
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trustedpods.contracts.client.client_limits import ClientLimits
from trustedpods.contracts.client.transactions.outbox import Outbox
from trustedpods.contracts.client.transactions.pending_transactions import Call, Fees, Form, Outgoing
from trustedpods.protocol.errors import BadInput, Locked, NoContext

ADDRESS = "0x" + "1" * 40
amounts = st.integers(0, 2**96)
forms = st.builds(
    Form,
    raw=st.binary(min_size=1, max_size=50),
    tx_hash=st.binary(min_size=32, max_size=32),
    fees=st.builds(Fees, amounts, amounts),
    at=st.floats(0, 2e9),
)
outgoings = st.builds(
    Outgoing,
    nonce=st.integers(0, 2**40),
    intent=st.binary(max_size=32),
    call=st.builds(
        Call, st.sampled_from([None, ADDRESS]), amounts, st.binary(max_size=99), st.integers(0, 10**8)
    ),
    forms=st.lists(forms, min_size=1, max_size=3).map(tuple),
)
ONE = Outgoing(3, b"i", Call(ADDRESS, 0, b"", 21_000), (Form(b"r", b"h" * 32, Fees(2, 1), 1.0),))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(st.lists(outgoings, max_size=4))
def test_another_process_finds_what_was_written(tmp_path, outs):
    first = Outbox(tmp_path / "folder" / "file.json")
    with first.exclusive() as held:
        held.clear()
        held.update({out.id: out for out in outs})
        first.save()
    with Outbox(first.path).exclusive() as found:
        assert found == {out.id: out for out in outs}
    assert oct(first.path.stat().st_mode & 0o777) == "0o600"
    assert oct(first.path.parent.stat().st_mode & 0o777) == "0o700"


def test_nothing_is_kept_without_a_folder():
    box = Outbox(None)
    with box.exclusive() as held:
        held[ONE.id] = ONE
        box.save()
    with box.exclusive() as held:
        assert held == {ONE.id: ONE}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"version": 2, "transactions": []}',
        '{"version": 1}',
        '{"version": 1, "transactions": [{}]}',
        '{"version": 1, "transactions": [null]}',
        "[" * 2000,
    ],
)
def test_a_damaged_file_is_refused_and_kept(tmp_path, text):
    path = tmp_path / "file.json"
    path.write_text(text)
    with pytest.raises(BadInput, match="unfinished transactions") as bad, Outbox(path).exclusive():
        pass
    assert bad.value.where == str(path)
    assert path.read_text() == text


def test_a_file_beyond_the_bound_is_refused(tmp_path):
    path = tmp_path / "file.json"
    path.write_text(json.dumps({"version": 1, "transactions": []}) + " " * 1000)
    with pytest.raises(BadInput), Outbox(path, ClientLimits(journal_bytes=500)).exclusive():
        pass


def test_a_folder_that_cannot_be_made_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NoContext, match="cannot be kept"), Outbox(tmp_path / "file" / "x.json").exclusive():
        pass


def test_processes_take_turns(tmp_path):
    """Locks are those of open files, so two boxes in one process behave like two processes."""
    path, inside, go = tmp_path / "file.json", threading.Event(), threading.Event()

    def hold():
        with Outbox(path).exclusive():
            inside.set()
            go.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    assert inside.wait(10)
    with pytest.raises(Locked), Outbox(path, ClientLimits(lock_s=0.2)).exclusive():
        pass
    go.set()
    holder.join()
    with Outbox(path).exclusive() as held:
        assert held == {}


def test_a_write_that_fails_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    box = Outbox(tmp_path / "file.json")
    with box.exclusive() as held:
        held[ONE.id] = ONE
        box.save()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    def lose():
        with box.exclusive() as held:
            held.clear()
            box.save()

    with pytest.raises(NoContext, match="No space left"):
        lose()
    monkeypatch.undo()
    with Outbox(box.path).exclusive() as held:
        assert held == {ONE.id: ONE}
