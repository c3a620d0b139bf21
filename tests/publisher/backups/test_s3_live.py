# SPDX-License-Identifier: Apache-2.0
"""Backups in a bucket of a real S3 server: they come back, are listed in pages, and its troubles are told."""

import pytest
import trio

from tests.publisher.backups.versitygw import ACCESS, SECRET, gateway
from trustedpods.protocol.errors import BadInput, StoreFailure
from trustedpods.publisher.backups.making import begin
from trustedpods.publisher.backups.places import open_store
from trustedpods.publisher.backups.pod_backups import PodBackups
from trustedpods.publisher.backups.sealing import CHUNK

pytestmark = pytest.mark.live

KEY = b"s" * 32
NOW = 1_795_946_400
DATA = bytes(range(256)) * (9 * CHUNK // 256) + b"the end"


@pytest.fixture
async def s3(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    async with gateway(tmp_path) as serving:
        yield serving


def made(backups, now, data):
    new = begin(backups, "0000000a", now)
    part = new.part("data", None)
    part.write(data)
    new.add(part.end())
    return new.finish(now + 5)


def whole(backups, found):
    return [b"".join(backups.read(found, part)) for part in found.index.parts]


async def test_backups_come_back_and_the_oldest_go(s3):
    backups = PodBackups(open_store(s3.place("/of-anna")), "redis", KEY)

    def work():
        assert backups.names() == []
        names = [made(backups, NOW + second, DATA).name for second in range(3)]
        assert backups.names() == names
        assert whole(backups, backups.backup()) == [DATA]
        assert backups.keep(1) == names[:2]
        assert backups.names() == names[2:]
        return sorted(path.name for path in s3.bucket.rglob("data.0*"))

    assert await trio.to_thread.run_sync(work) == ["data.000000", "data.000001"]


async def test_nothing_that_was_changed_there_is_believed(s3):
    backups = PodBackups(open_store(s3.place()), "redis", KEY)

    def work():
        found = made(backups, NOW, b"as it was")
        (file,) = s3.bucket.rglob("data.000000")
        file.write_bytes(file.read_bytes()[:-1] + b"x")
        with pytest.raises(BadInput, match="damaged, or belongs elsewhere"):
            whole(backups, found)
        file.write_bytes(file.read_bytes() + b"x")
        with pytest.raises(StoreFailure, match="more than"):
            whole(backups, found)
        file.unlink()
        with pytest.raises(BadInput, match="it is not there"):
            whole(backups, found)

    await trio.to_thread.run_sync(work)


async def test_a_listing_of_several_pages(s3):
    folder = s3.bucket / "pod" / "data"
    folder.mkdir(parents=True)
    for number in range(1100):
        (folder / f"{number:04}").write_bytes(b"x")
    (s3.bucket / "pod" / "data-of-others").write_bytes(b"x")
    store = open_store(s3.place())
    found = await trio.to_thread.run_sync(lambda: list(store.listed("pod/data")))
    assert sorted(one.name for one in found) == [f"pod/data/{number:04}" for number in range(1100)]
    assert {one.size for one in found} == {1}


async def test_wrong_credentials_are_told_and_nothing_of_them(s3, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another-marker")
    store = open_store(s3.place())
    for ask in (
        lambda: store.put("one", b""),
        lambda: store.get("one", 1),
        lambda: list(store.listed("one")),
    ):
        with pytest.raises(StoreFailure, match="refuses these credentials") as error:
            await trio.to_thread.run_sync(ask)
        assert "AWS_ACCESS_KEY_ID" in (error.value.hint or "")
        assert not {"marker", ACCESS} & set(str(error.value).replace("-", " ").split())


async def test_no_such_bucket_and_no_server(s3):
    missing = open_store(f"s3+{s3.endpoint}/none-such")
    for ask in (
        lambda: missing.put("one", b""),
        lambda: missing.get("one", 1),
        lambda: list(missing.listed("one")),
    ):
        with pytest.raises(StoreFailure, match="NoSuchBucket"):
            await trio.to_thread.run_sync(ask)
    store = open_store(s3.place())
    await s3.process.end()
    with pytest.raises(StoreFailure) as error, trio.fail_after(120):
        await trio.to_thread.run_sync(lambda: store.get("one", 1))
    assert (error.value.rule, int(error.value.exit_code)) == ("backup-store", 11)
