# SPDX-License-Identifier: Apache-2.0
"""What is kept of backups between runs: whole or not there, one pod apart from another."""

import pytest

from trustedpods.protocol.errors import BadInput
from trustedpods.publisher.backups.records import (
    BackupRecord,
    BackupRecords,
    FailedBackup,
    LastBackup,
    NewestBackup,
    ScheduledBackup,
)

SCHEDULED = ScheduledBackup(store="/kept", since=100, every_s=3600, keep=7, quiesce=("redis-cli", "save"))
LAST = LastBackup(store="/kept", name="20261129T140501Z-0000000a", began=200, ended=201, size=5)
FAILED = FailedBackup(at=300, count=2, code="network", exit=8, text="silent")


@pytest.fixture
def kept(tmp_path):
    return BackupRecords(tmp_path)


def told_none(error):
    raise AssertionError(error)


def test_records_come_back(kept):
    record = BackupRecord(pod="redis", scope="market", scheduled=SCHEDULED, last=LAST, failed=FAILED)
    kept.save(record)
    kept.save(BackupRecord(pod="other", scope="market", last=LAST))
    kept.save(BackupRecord(pod="redis", scope="another", scheduled=SCHEDULED))
    assert kept.load("market", "redis") == record
    assert kept.load("market", "none") == BackupRecord(pod="none", scope="market")
    assert kept.scheduled("market", told_none) == [record]


def test_only_backups_in_the_place_of_the_schedule_count():
    record = BackupRecord(pod="redis", scope="market", scheduled=SCHEDULED, last=LAST, failed=FAILED)
    assert (record.tried.done_at, record.tried.failures, record.tried.failed_at) == (200, 2, 300)
    elsewhere = record.model_copy(update={"last": LAST.model_copy(update={"store": "/other"})})
    assert elsewhere.tried.done_at is None


def test_one_that_was_begun_and_has_not_ended_is_one_more_failure():
    record = BackupRecord(pod="redis", scope="market", scheduled=SCHEDULED, failed=FAILED, begun=400)
    assert (record.tried.failures, record.tried.failed_at) == (3, 400)
    assert "cut off" in record.cut_off().text


def test_a_damaged_record_is_said_and_stops_no_other(kept, tmp_path):
    kept.save(BackupRecord(pod="redis", scope="market", scheduled=SCHEDULED))
    (path,) = (tmp_path / "backups").glob("*.pod.json")
    path.with_name("0.pod.json").write_text("{}")
    said = []
    assert [one.pod for one in kept.scheduled("market", said.append)] == ["redis"]
    assert [error.what for error in said] == ["damaged"]
    path.write_text('{"pod": 1}')
    with pytest.raises(BadInput, match="damaged"):
        kept.load("market", "redis")


def test_the_mark_of_a_machine_is_made_once(kept, tmp_path):
    made = kept.maker()
    assert (len(made), kept.maker(), BackupRecords(tmp_path).maker()) == (8, made, made)
    (tmp_path / "backups" / "maker").write_text("no mark!")
    assert kept.maker() not in {made, "no mark!"}


def test_the_newest_of_each_place(kept):
    newest = NewestBackup(name=LAST.name, digest="ab" * 32)
    kept.set_newest("0x1", "/kept", "redis", newest)
    assert kept.newest("0x1", "/kept", "redis") == newest
    for publisher, place, pod in (
        ("0x2", "/kept", "redis"),
        ("0x1", "/other", "redis"),
        ("0x1", "/kept", "web"),
    ):
        assert kept.newest(publisher, place, pod) is None


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "backups").write_text("a file")
    with pytest.raises(BadInput, match="cannot keep what is known of backups"):
        BackupRecords(tmp_path).maker()
