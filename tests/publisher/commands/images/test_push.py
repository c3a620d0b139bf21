# SPDX-License-Identifier: Apache-2.0
"""`image push`: the next version's images are at the pod's provider before it is deployed."""

import json
import os

from tests.publisher.test_cli import cli
from trustedpods.protocol.errors import ExitCode
from trustedpods.protocol.limits import BLOB_CHUNK

__all__ = ["cli"]


async def printed(cli, *words):
    done = await cli(*words, "-o", "json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


async def test_a_deploy_sends_nothing_of_what_was_pushed(cli, bench):
    file = bench.folder / "pod.yaml"
    async with bench.peer().serve() as peer:
        await printed(cli, "deploy", file)
        bench.write_image((os.urandom(3 << 20),))
        peer.log.clear()
        first = await printed(cli, "image", "push", file)
        assert "provision" not in peer.log
        again = await printed(cli, "image", "push", bench.folder / "hello.tar", "--name", "hello")
        deployed = await printed(cli, "deploy", file)
    assert first["pod"] == "hello"
    assert first["sent"]["sent_bytes"] > 3 << 20
    assert [again["sent"]["sent_bytes"], deployed["sent"]["sent_bytes"]] == [0, 0]
    pushed = {blob["digest"] for blob in first["sent"]["sent_blobs"]}
    assert pushed == {blob["digest"] for blob in again["sent"]["sent_blobs"]}


async def test_a_push_that_was_cut_off_goes_on_and_sends_no_chunk_twice(cli, bench):
    file, peer = bench.folder / "pod.yaml", bench.peer()
    async with peer.serve():
        await printed(cli, "deploy", file)
        bench.write_image((os.urandom(4 * BLOB_CHUNK + 3),))
        peer.chunks.clear()
        peer.stop_after_chunks = 3
        cut = await cli("image", "push", file)
    arrived = sum(peer.chunks.values())  # counted when nothing listens any more: chunks may be on their way
    peer.stop_after_chunks = None
    async with peer.serve():
        again = (await printed(cli, "image", "push", file))["sent"]
        last = (await printed(cli, "image", "push", file))["sent"]
    assert cut.exit_code == ExitCode.NETWORK
    assert arrived >= 3
    assert sum(one["from"] for one in again["sent_blobs"]) == arrived
    assert again["sent_chunks"] == sum(peer.chunks.values()) - arrived > 0
    assert sum(peer.chunks.values()) == 5 + 2, "the layer's, and one each of configuration and manifest"
    assert (last["sent_chunks"], last["sent_bytes"]) == (0, 0)


async def test_what_was_sent_is_said_in_a_line(cli, bench):
    async with bench.peer().serve():
        await cli("deploy", bench.folder / "pod.yaml")
        done = await cli("image", "push", bench.folder / "pod.yaml")
    assert done.stdout == "the provider of hello has the images: 3 blobs, 0 bytes sent now\n"


async def test_an_image_needs_the_name_of_a_pod_that_runs(cli, bench):
    image = bench.folder / "hello.tar"
    async with bench.peer().serve():
        nameless, unknown = (
            await cli("image", "push", image),
            await cli("image", "push", image, "--name", "x"),
        )
    assert (nameless.exit_code, unknown.exit_code) == (2, 6)
    assert "of which pod is this image?" in nameless.stderr
