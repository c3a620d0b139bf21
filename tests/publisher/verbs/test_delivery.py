# SPDX-License-Identifier: Apache-2.0
"""What is kept of a delivery, in which order, and what a release makes of it after a reboot."""

import errno
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.publisher.verbs.test_watch import watched
from trustedpods.publisher import context
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


@dataclass
class Kills:
    """What was on the disk before each write: there a killed client's next run goes on."""

    folder: Path
    before: list[tuple[str, dict[str, bytes]]] = field(default_factory=list)

    def write(self, path, data):
        held = {file.name: file.read_bytes() for file in self.folder.glob("*") if file.is_file()}
        self.before.append((path.suffix, held))
        write_whole(path, data)

    def go_back(self, number):
        """To before the write of that number."""
        for file in self.folder.glob("*"):
            file.unlink()
        for name, data in self.before[number][1].items():
            (self.folder / name).write_bytes(data)


@pytest.fixture
def kills(bench, monkeypatch):
    made = Kills(context.state_dir() / pod_records.FOLDER)
    monkeypatch.setattr(pod_records, "write_whole", made.write)
    return made


@pytest.mark.parametrize(("suffix", "released"), [(".version", False), (".bundle", True), (".json", True)])
async def test_a_deploy_that_was_killed_as_it_kept_what_was_confirmed(bench, kills, suffix, released):
    peer = bench.peer()
    async with peer.serve():
        await bench.deploy()
        mode(bench, "two")
        await bench.deploy()
    kills.go_back(max(number for number, (written, _) in enumerate(kills.before) if written == suffix))
    peer.reboot()
    sent = len(peer.bundles)
    async with peer.serve():
        result = await watched(bench)
    assert (result.state == "released", len(peer.bundles) - sent) == (released, int(released))
    assert b"two" in peer.bundles[-1].manifest


async def test_a_release_that_was_killed_after_it_was_sent_is_repeated(bench, kills):
    """The provider took it, and may have answered; a machine that restarts again asks for another."""
    peer = bench.peer()
    async with peer.serve():
        await bench.deploy()
    kills.before.clear()
    peer.reboot()
    async with peer.serve():
        assert (await watched(bench)).state == "released"
    sent, taken = f'"releasing": {peer.generation},'.encode(), peer.generation
    after = [n for n, (_, held) in enumerate(kills.before) if any(sent in data for data in held.values())]
    assert after
    for number in after:
        kills.go_back(number)
        peer.reboot()
        peer.generation = taken
        async with peer.serve():
            result = await watched(bench)
        assert result.state == "released", (number, result.problems)
