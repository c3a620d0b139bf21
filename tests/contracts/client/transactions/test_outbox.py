# SPDX-License-Identifier: Apache-2.0
"""The file of unfinished transactions: what is in it comes back, whoever wrote it, or is refused whole."""

import contextlib
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trustedpods.contracts.client.client_limits import USUAL, ClientLimits
from trustedpods.contracts.client.transactions.journals import FolderJournal
from trustedpods.contracts.client.transactions.outbox import Outbox, _plain
from trustedpods.contracts.client.transactions.pending_transactions import (
    Call,
    Fees,
    Form,
    Outgoing,
    with_form,
)
from trustedpods.protocol.errors import BadInput

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


def box_at(path, limits=USUAL):
    """An outbox of the file *path*, as each process has one of its own."""
    return Outbox(FolderJournal(path.parent), path.stem, limits)


OTHER = Outgoing(4, b"o", Call(None, 7, b"d", 90_000), (Form(b"s", b"o" * 32, Fees(2, 1), 1.0),))
ONE = Outgoing(3, b"i", Call(ADDRESS, 0, b"", 21_000), (Form(b"r", b"h" * 32, Fees(2, 1), 1.0),))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(st.lists(outgoings, max_size=4, unique_by=lambda out: out.id[:16]))
def test_another_process_finds_what_was_written(tmp_path, outs):
    path = tmp_path / str(len(list(tmp_path.iterdir()))) / "file.json"
    first = box_at(path)
    with first.exclusive() as held:
        held.clear()
        held.update({out.id: out for out in outs})
        first.save()
    with box_at(path).exclusive() as found:
        assert found == {out.id: out for out in outs}
    assert oct(path.stat().st_mode & 0o777) == "0o600"
    assert oct(path.parent.stat().st_mode & 0o777) == "0o700"


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
        '{"version": 3, "transactions": []}',
        '{"version": 2, "transactions": ["00"]}',
        '{"version": 2, "transactions": [["0", 1]]}',
        '{"version": 1}',
        '{"version": 1, "transactions": [{}]}',
        '{"version": 1, "transactions": [null]}',
        "[" * 2000,
    ],
)
def test_a_damaged_file_is_refused_and_kept(tmp_path, text):
    path = tmp_path / "file.json"
    path.write_text(text)
    with pytest.raises(BadInput, match="unfinished transactions") as bad, box_at(path).exclusive():
        pass
    assert bad.value.where == str(path)
    assert path.read_text() == text


def test_a_file_beyond_the_bound_is_refused(tmp_path):
    path = tmp_path / "file.json"
    path.write_text(json.dumps({"version": 1, "transactions": []}) + " " * 1000)
    with pytest.raises(BadInput), box_at(path, ClientLimits(journal_bytes=500)).exclusive():
        pass


def test_what_an_older_version_wrote_is_read_and_written_anew(tmp_path):
    path = tmp_path / "file.json"
    path.write_text(json.dumps({"version": 1, "transactions": [_plain(ONE)]}))
    with box_at(path).exclusive() as held:
        assert held == {ONE.id: ONE}
    box = box_at(path)
    with box.exclusive() as held:
        held[OTHER.id] = OTHER
        box.save()
    with box_at(path).exclusive() as held:
        assert held == {ONE.id: ONE, OTHER.id: OTHER}
        held.clear()
    with box.exclusive() as held:
        held.clear()
        box.save()
    assert [file.name for file in tmp_path.glob("*.json")] == ["file.json"]
    assert json.loads(path.read_text()) == {"version": 1, "transactions": []}


def test_another_process_signs_anew_and_is_seen(tmp_path):
    path = tmp_path / "file.json"
    first, second = box_at(path), box_at(path)
    raised = with_form(ONE, Form(b"r2", b"H" * 32, Fees(3, 2), 2.0))
    with first.exclusive() as held:
        held[ONE.id] = ONE
        first.save()
    with second.exclusive() as held:
        held[ONE.id] = raised
        second.save()
    with first.exclusive() as held:
        assert held == {ONE.id: raised}


@pytest.mark.parametrize("text", [None, "{"])
def test_a_piece_that_is_listed_and_missing_or_damaged_is_refused(tmp_path, text):
    path = tmp_path / "file.json"
    box = box_at(path)
    with box.exclusive() as held:
        held |= {ONE.id: ONE, OTHER.id: OTHER}
        box.save()
    (piece,) = [file for file in tmp_path.glob("*.json") if ONE.id.hex()[:32] in file.name]
    piece.unlink() if text is None else piece.write_text(text)
    with pytest.raises(BadInput) as bad, box_at(path).exclusive():
        pass
    assert bad.value.where == str(piece)


class Killed(Exception):
    """The process ends here."""


class Cut(FolderJournal):
    """A folder of a process that is killed before it writes one more than *left* files."""

    left = 0

    def write(self, pieces):
        for name, piece in pieces.items():
            if Cut.left == 0:
                raise Killed
            Cut.left -= 1
            super().write({name: piece})


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("done", range(6))
def test_a_kill_between_each_two_files_loses_nothing_that_was_sent(tmp_path, version, done):
    """ONE and OTHER were sent; a third is written down, and OTHER is over, in one save."""
    path, sent = tmp_path / "file.json", {ONE.id: ONE, OTHER.id: OTHER}
    path.write_text(json.dumps({"version": 1, "transactions": [_plain(out) for out in sent.values()]}))
    if version == 2:
        first = box_at(path)
        with first.exclusive():
            first.save()
    third = Outgoing(5, b"t", ONE.call, (Form(b"t", b"t" * 32, Fees(2, 1), 1.0),))
    after = {ONE.id: ONE, third.id: third}
    box = Outbox(Cut(tmp_path), "file")
    with contextlib.suppress(Killed), box.exclusive() as held:
        del held[OTHER.id]
        held[third.id], Cut.left = third, done
        box.save()
    next_one = box_at(path)
    with next_one.exclusive() as found:
        assert found in (sent, after)
        listed = json.loads(path.read_text())
        pieces = found if listed["version"] == 2 else {}
        assert len(list(tmp_path.glob("file-*.json"))) == len(pieces)  # what nobody asks for is gone
        next_one.save()
    with box_at(path).exclusive() as again:
        assert again == found


def test_writing_one_down_takes_no_more_where_many_are_under_way(tmp_path):
    class Counting(FolderJournal):
        written = 0

        def write(self, pieces):
            Counting.written += sum(len(piece or b"") for piece in pieces.values())
            super().write(pieces)

    box, sizes = Outbox(Counting(tmp_path), "file"), []
    data = Call(ADDRESS, 0, b"d" * 6400, 21_000)
    for nonce in range(60):
        with box.exclusive() as held:
            out = Outgoing(nonce, b"i", data, (Form(b"r", nonce.to_bytes(32, "big"), Fees(2, 1), 1.0),))
            held[out.id], before = out, Counting.written
            box.save()
        sizes.append(Counting.written - before)
    assert max(sizes) < 1.5 * sizes[0]
