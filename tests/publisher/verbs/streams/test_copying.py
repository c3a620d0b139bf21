# SPDX-License-Identifier: Apache-2.0
"""`cp` over real libp2p and this machine's own tar, which stands for the container's."""

import os
import subprocess
from contextlib import asynccontextmanager
from pathlib import Path, PurePosixPath

import pytest
import trio

from tests.publisher.verbs.streams.test_archives import files
from trustedpods.protocol.errors import BadInput, Refused, RemoteProtocolError
from trustedpods.publisher.results.pods import VisitProgress
from trustedpods.publisher.verbs.streams.copying import CopyOptions, PodPath, copy, parse_place


async def tar(command):
    """The program itself, fed and read as a container's would be."""
    pipe = subprocess.PIPE
    process = await trio.lowlevel.open_process(command.words, stdin=pipe, stdout=pipe, stderr=pipe)

    async def feed():
        try:
            while (data := await command.read()) is not None:
                await process.stdin.send_all(data)
        except trio.BrokenResourceError:
            return
        await process.stdin.aclose()

    async def hand_on(stream, name):
        while data := await stream.receive_some(50_000):
            await command.write(data, name)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(feed)
        async with trio.open_nursery() as outputs:
            outputs.start_soon(hand_on, process.stdout, "stdout")
            outputs.start_soon(hand_on, process.stderr, "stderr")
        code = await process.wait()
        nursery.cancel_scope.cancel()
    return code


async def hostile(command):
    await command.write(b"x" * 100_000)
    while True:
        await command.write(b"x" * 10_000)


@asynccontextmanager
async def pod(bench, program=tar):
    """`cp` in the pod hello, whose tar is *program*; none at all for None."""
    peer = bench.peer()
    if program is not None:
        peer.programs["tar"] = program
    async with peer.serve():
        await bench.deploy()

        async def run(source, target):
            return await copy(
                bench.account, str(source), str(target), CopyOptions(), VisitProgress(), bench.journal()
            )

        yield run


async def test_a_folder_there_and_back(bench, tmp_path):
    source, pod_side, back = (tmp_path / name for name in ("source", "pod", "back"))
    (source / "deep").mkdir(parents=True)
    (source / "deep" / "file").write_bytes(os.urandom(2_000_000))
    (source / "link").symlink_to("deep/file")
    pod_side.mkdir()
    async with pod(bench) as cp:
        sent = await cp(source, f"hello:{pod_side}/")
        assert (sent.files, sent.size, sent.target) == (1, 2_000_000, f"hello:{pod_side}/source")
        got = await cp(f"hello:{pod_side}/source", back)
    assert (got.files, got.size, got.left_out) == (1, 2_000_000, ())
    assert files(source) == files(pod_side / "source") == files(back)
    assert not list(tmp_path.glob(".trustedpods*"))
    assert ("source/deep/file", 2_000_000, 2_000_000) in bench.journals[-1].show.bars


async def test_a_file_under_another_name_and_into_a_folder(bench, tmp_path):
    (tmp_path / "a.txt").write_text("text")
    (tmp_path / "folder").mkdir()
    async with pod(bench) as cp:
        await cp(tmp_path / "a.txt", f"hello:{tmp_path}/b.txt")
        await cp(f"hello:{tmp_path}/b.txt", tmp_path / "folder")
    assert (tmp_path / "folder" / "b.txt").read_text() == "text"


async def test_a_folder_under_another_name_has_no_link_to_what_lies_beside_it(bench, tmp_path):
    there, here = tmp_path / "srv" / "site", tmp_path / "here"
    there.mkdir(parents=True)
    (there / "secret").write_text("of the pod")
    (there / "a").symlink_to("../site/secret")
    (here / "site").mkdir(parents=True)
    (here / "site" / "secret").write_text("of this machine")
    async with pod(bench) as cp:
        got = await cp(f"hello:{there}", here / "new")
    assert os.listdir(here / "new") == ["secret"]
    assert len(got.left_out) == 1


async def test_what_cannot_be_written_here(bench, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("old")
    async with pod(bench) as cp:
        with pytest.raises(BadInput):
            await cp(f"hello:{tmp_path}/folder", tmp_path / "file")
        with pytest.raises(BadInput):
            await cp(f"hello:{tmp_path}/folder", "/proc/self/new")
    assert (tmp_path / "file").read_text() == "old"


async def test_what_tar_said_and_that_there_is_none(bench, tmp_path):
    async with pod(bench) as cp:
        with pytest.raises(Refused) as caught:
            await cp(f"hello:{tmp_path}/nothing", tmp_path / "x")
        assert caught.value.rule == "copy"
        assert "nothing" in caught.value.what
        with pytest.raises(BadInput):
            await cp(tmp_path / "nothing", f"hello:{tmp_path}/x")
    assert not (tmp_path / "x").exists()


async def test_an_image_without_tar(bench, tmp_path):
    async with pod(bench, None) as cp:
        with pytest.raises(Refused) as caught:
            await cp("hello:/etc/hosts", tmp_path / "x")
    assert caught.value.rule == "no-tar"


async def test_what_is_no_archive_leaves_nothing(bench, tmp_path):
    async with pod(bench, hostile) as cp:
        with pytest.raises(RemoteProtocolError) as caught:
            await cp("hello:/srv", tmp_path / "x")
    assert caught.value.rule == "copy-unsafe"
    assert not (tmp_path / "x").exists()
    assert not list(tmp_path.glob(".trustedpods*"))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("web:/a/b", PodPath("web", PurePosixPath("/a/b"), into=False)),
        ("web:/a/", PodPath("web", PurePosixPath("/a"), into=True)),
        ("./a:b", Path("a:b")),
        ("a", Path("a")),
    ],
)
def test_what_a_place_is(text, place):
    assert parse_place(text) == place


@pytest.mark.parametrize("text", ["web:a", "web:", "web:/a/../b", "web:/a\0", "No Name:/a"])
def test_what_is_no_place(text):
    with pytest.raises(BadInput):
        parse_place(text)
