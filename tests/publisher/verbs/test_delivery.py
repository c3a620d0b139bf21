# SPDX-License-Identifier: Apache-2.0
"""What is kept of a delivery, in which order, and what a release makes of it after a reboot."""

import errno

from tests.publisher.verbs.test_watch import watched
from trustedpods.publisher.state import pod_records
from trustedpods.publisher.state.files import write_whole
from trustedpods.publisher.visits import records


def mode(bench, value):
    """A variable of the manifest: what tells its versions apart."""
    path = bench.folder / "pod.yaml"
    env = f"      env: [{{name: MODE, value: {value}}}]\n      ports:"
    path.write_text(path.read_text().replace("      ports:", env))


def full_disk(monkeypatch, suffix):
    """From here on no file with that ending finds room."""

    def write(path, data):
        if path.suffix == suffix:
            raise OSError(errno.ENOSPC, "No space left on device")
        write_whole(path, data)

    monkeypatch.setattr(pod_records, "write_whole", write)


async def test_a_newer_bundle_that_could_not_be_kept_is_not_released_as_the_one_before(bench, monkeypatch):
    peer = bench.peer()
    async with peer.serve():
        await bench.deploy()
        mode(bench, "two")
        full_disk(monkeypatch, ".bundle")
        await bench.deploy()
        assert any("deploy again by hand" in warning for warning in bench.last.show.warnings)
    peer.reboot()
    sent = len(peer.bundles)
    async with peer.serve():
        result = await watched(bench)
    assert (result.exit_code != 0, len(peer.bundles)) == (True, sent)


async def test_a_version_that_could_not_be_kept_is_released_all_the_same(bench, monkeypatch):
    peer = bench.peer()
    async with peer.serve():
        await bench.deploy()
        mode(bench, "two")
        full_disk(monkeypatch, ".version")
        await bench.deploy()
        assert any("rollback" in warning for warning in bench.last.show.warnings)
    peer.reboot()
    async with peer.serve():
        assert (await watched(bench)).state == "released"
    assert b"two" in peer.bundles[-1].manifest


async def test_a_bundle_that_is_not_what_was_confirmed_is_not_released(bench):
    peer = bench.peer()
    async with peer.serve():
        await bench.deploy()
        bench.write_image(layers=(b"other" * 1000,))
        await bench.deploy()
    confirmed, sent = peer.statement, len(peer.bundles)
    (record,) = records.mine(bench.account, bench.journal())
    records.pod_records().keep_bundle(record.channel, bench.account.publisher.secret, peer.bundles[0])
    peer.reboot()
    peer.statement = confirmed
    async with peer.serve():
        result = await watched(bench)
    assert (result.exit_code != 0, len(peer.bundles)) == (True, sent)
