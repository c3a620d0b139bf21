# SPDX-License-Identifier: Apache-2.0
"""What the client keeps of its pods: whole or not at all, private, and no more than hints."""

import stat

import pytest

from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.messages.bundle import Bundle
from trustedpods.publisher.state.pod_records import PodRecord, PodRecords

CHANNEL = "ab" * 24
ADDRESS = "0x" + "11" * 20
SECRET = b"s" * 32


def record(**changes):
    fields = {
        "name": "web",
        "channel": CHANNEL,
        "chain_id": 1,
        "payments": ADDRESS,
        "publisher": ADDRESS,
        "owner": ADDRESS,
        "daemon": 0,
        "trust": "sealed",
        "policy": None,
        "images": ("oci-archive:/images/web.tar",),
        "shape": None,
    }
    return PodRecord(**(fields | changes))


def bundle():
    return Bundle(name="web", manifest=b"MARKER", images=[], secrets=[], seeds=[], commanders=[b"c" * 20])


def test_what_is_kept_comes_back(tmp_path):
    kept = PodRecords(tmp_path / "pods")
    assert kept.load(CHANNEL) is None
    assert kept.channels() == []
    kept.save(record())
    kept.save(record(channel="cd" * 24, name="api"))
    assert kept.load(CHANNEL) == record()
    assert kept.channels() == [CHANNEL, "cd" * 24]
    kept.forget(CHANNEL)
    kept.forget(CHANNEL)
    assert kept.load(CHANNEL) is None


def test_a_bundle_opens_with_the_same_key_alone(tmp_path):
    kept = PodRecords(tmp_path)
    assert kept.bundle(CHANNEL, SECRET) is None
    kept.keep_bundle(CHANNEL, SECRET, bundle())
    assert kept.bundle(CHANNEL, SECRET) == bundle()
    with pytest.raises(BadInput):
        kept.bundle(CHANNEL, b"t" * 32)


def test_a_bundle_belongs_to_its_channel(tmp_path):
    kept = PodRecords(tmp_path)
    kept.keep_bundle(CHANNEL, SECRET, bundle())
    (tmp_path / f"{CHANNEL}.bundle").rename(tmp_path / f"{'cd' * 24}.bundle")
    with pytest.raises(BadInput):
        kept.bundle("cd" * 24, SECRET)


@pytest.mark.parametrize("data", [b"", b"x", b"x" * 500])
def test_a_damaged_bundle(tmp_path, data):
    (tmp_path / f"{CHANNEL}.bundle").write_bytes(data)
    with pytest.raises(BadInput):
        PodRecords(tmp_path).bundle(CHANNEL, SECRET)


@pytest.mark.parametrize("data", [b"", b"{}", b"[", b'{"version": 2}', b"\xff", b"x" * 70_000])
def test_a_damaged_record(tmp_path, data):
    (tmp_path / f"{CHANNEL}.json").write_bytes(data)
    with pytest.raises(BadInput) as caught:
        PodRecords(tmp_path).load(CHANNEL)
    assert CHANNEL in caught.value.where


def test_nobody_else_reads_it(tmp_path):
    kept = PodRecords(tmp_path / "pods")
    kept.save(record())
    kept.keep_bundle(CHANNEL, SECRET, bundle())
    assert stat.S_IMODE((tmp_path / "pods").stat().st_mode) == 0o700
    for file in (tmp_path / "pods").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert b"MARKER" not in file.read_bytes()


def test_where_nothing_can_be_kept(tmp_path):
    (tmp_path / "pods").write_text("a file in the way")
    with pytest.raises(BadInput):
        PodRecords(tmp_path / "pods").save(record())
