# SPDX-License-Identifier: Apache-2.0
"""Pushes to a real distribution registry, and what it refuses."""

import hashlib
import json
import subprocess

import pytest
import trio

from tests.fakes.web_server import answer
from trustedpods.protocol.errors import NetworkFailure, Refused, RemoteProtocolError
from trustedpods.provider.cluster.image_registry import open_image_registry

pytestmark = pytest.mark.live

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"


@pytest.fixture
def registry_url(tmp_path, unused_port):
    """A registry process of the test's own."""
    config = {
        "version": "0.1",
        "storage": {"filesystem": {"rootdirectory": str(tmp_path / "registry")}, "delete": {"enabled": True}},
        "http": {"addr": f"127.0.0.1:{unused_port}"},
    }
    file = tmp_path / "registry.yml"
    file.write_text(json.dumps(config))
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(["docker-registry", "serve", file], stdout=log, stderr=log)
    yield f"http://127.0.0.1:{unused_port}"
    process.kill()
    process.wait()


@pytest.fixture
async def registry(registry_url):
    async with open_image_registry(registry_url) as door:
        with trio.fail_after(100):
            while True:
                try:
                    await door.ping()
                    break
                except NetworkFailure:
                    await trio.sleep(0.05)
        yield door


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Pieces:
    """Data in pieces, counting how much was asked for."""

    def __init__(self, data, piece=1 << 16, fail=None):
        self.data, self.piece, self.fail, self.taken = data, piece, fail, 0

    def __aiter__(self):
        return self

    async def __anext__(self):
        await trio.lowlevel.checkpoint()
        if self.taken >= len(self.data):
            if self.fail:
                raise self.fail
            raise StopAsyncIteration
        piece = self.data[self.taken : self.taken + self.piece]
        self.taken += len(piece)
        return piece


async def test_an_image_goes_in_by_digest(registry):
    layer, config = b"layer" * 100_000, b"{}"
    for data in (layer, config):
        assert not await registry.has_blob("pods/p1", digest_of(data))
        await registry.push_blob("pods/p1", digest_of(data), len(data), Pieces(data))
        assert await registry.has_blob("pods/p1", digest_of(data))
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "digest": digest_of(config), "size": len(config)},
            "layers": [{"mediaType": "x", "digest": digest_of(layer), "size": len(layer)}],
        }
    ).encode()
    digest = await registry.push_manifest("pods/p1", MANIFEST, manifest)
    assert digest == digest_of(manifest)
    assert await registry.has_manifest("pods/p1", digest)
    assert registry.pull_reference("pods/p1", digest).endswith(f"/pods/p1@{digest}")
    await registry.delete_manifest("pods/p1", digest)
    await registry.delete_manifest("pods/p1", digest)
    assert not await registry.has_manifest("pods/p1", digest)
    await registry.delete_blob("pods/p1", digest_of(layer))
    await registry.delete_blob("pods/p1", digest_of(layer))
    assert not await registry.has_blob("pods/p1", digest_of(layer))


async def test_a_cleared_repository_has_nothing_and_takes_the_image_again(registry):
    layer, config = b"layer", b"{}"
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "digest": digest_of(config), "size": len(config)},
            "layers": [{"mediaType": "x", "digest": digest_of(layer), "size": len(layer)}],
        }
    ).encode()
    await registry.clear("pods/p1")
    for _ in range(2):
        for repo in ("pods/p1", "pods/p2"):
            for data in (layer, config):
                await registry.push_blob(repo, digest_of(data), len(data), Pieces(data))
            await registry.push_manifest(repo, MANIFEST, manifest)
        for _ in range(2):
            await registry.clear("pods/p1")
        assert not await registry.has_manifest("pods/p1", digest_of(manifest))
        assert not await registry.has_blob("pods/p1", digest_of(layer))
        assert not await registry.has_blob("pods/p1", digest_of(config))
        assert await registry.has_manifest("pods/p2", digest_of(manifest))
        assert await registry.has_blob("pods/p2", digest_of(layer))


async def test_an_empty_blob(registry):
    await registry.push_blob("pods/p1", digest_of(b""), 0, Pieces(b""))
    assert await registry.has_blob("pods/p1", digest_of(b""))


async def test_one_pod_s_blobs_are_not_another_s(registry):
    await registry.push_blob("pods/p1", digest_of(b"mine"), 4, Pieces(b"mine"))
    assert not await registry.has_blob("pods/p2", digest_of(b"mine"))


async def test_a_push_again_is_no_trouble(registry):
    for _ in range(2):
        await registry.push_blob("pods/p1", digest_of(b"x"), 1, Pieces(b"x"))


async def test_the_digest_is_checked_by_the_registry(registry):
    with pytest.raises(Refused) as caught:
        await registry.push_blob("pods/p1", digest_of(b"other"), 3, Pieces(b"one"))
    assert caught.value.rule == "digest"
    assert not await registry.has_blob("pods/p1", digest_of(b"other"))


@pytest.mark.parametrize(("size", "words"), [(2, "goes on after its end"), (4, "ends after 3")])
async def test_a_wrong_size_is_refused(registry, size, words):
    with pytest.raises(Refused, match=words):
        await registry.push_blob("pods/p1", digest_of(b"one"), size, Pieces(b"one"))
    assert not await registry.has_blob("pods/p1", digest_of(b"one"))


async def test_the_source_s_own_error_comes_out(registry):
    broken = RemoteProtocolError("chunk 7 does not open")
    with pytest.raises(RemoteProtocolError, match="chunk 7"):
        await registry.push_blob("pods/p1", digest_of(b"one"), 99, Pieces(b"one", fail=broken))


async def test_a_cancelled_push_leaves_the_registry_usable(registry):
    class Endless(Pieces):
        async def __anext__(self):
            if self.taken:
                await trio.sleep_forever()
            self.taken = 1
            return b"x"

    with trio.move_on_after(0.3) as scope:
        await registry.push_blob("pods/p1", digest_of(b"xx"), 2, Endless(b""))
    assert scope.cancelled_caught
    await registry.push_blob("pods/p1", digest_of(b"xx"), 2, Pieces(b"xx"))


async def test_a_manifest_of_blobs_that_are_not_there(registry):
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "digest": digest_of(b"gone"), "size": 4},
            "layers": [],
        }
    ).encode()
    with pytest.raises(Refused):
        await registry.push_manifest("pods/p1", MANIFEST, manifest)


async def test_nobody_there(unused_port):
    async with open_image_registry(f"http://127.0.0.1:{unused_port}") as nobody:
        with pytest.raises(NetworkFailure):
            await nobody.has_blob("pods/p1", digest_of(b""))
        with pytest.raises(NetworkFailure):
            await nobody.push_blob("pods/p1", digest_of(b""), 0, Pieces(b""))


async def test_not_a_registry(api_server):
    server = await api_server(answer(500, b"<h1>oops</h1>", "text/html"))
    async with open_image_registry(server.url) as odd:
        with pytest.raises(NetworkFailure, match="not as a registry does"):
            await odd.ping()


async def test_uploads_stay_with_the_registry(api_server):
    elsewhere = b"HTTP/1.1 202 X\r\nlocation: http://192.0.2.9/upload\r\ncontent-length: 0\r\n\r\n"
    server = await api_server(elsewhere)
    async with open_image_registry(server.url) as odd:
        with pytest.raises(RemoteProtocolError, match="another host"):
            await odd.push_blob("pods/p1", digest_of(b""), 0, Pieces(b""))
    assert len(server.requests) == 1


async def test_what_is_stored_is_read_back_and_compared(registry):
    data = b"stored" * 100_000
    await registry.push_blob("pods/r", digest_of(data), len(data), Pieces(data))
    assert await registry.blob_size("pods/r", digest_of(data)) == len(data)
    assert await registry.read_blob("pods/r", digest_of(data), len(data)) == data
    assert await registry.blob_size("pods/other", digest_of(data)) is None
    assert await registry.read_blob("pods/other", digest_of(data), len(data)) is None
    assert await registry.read_manifest("pods/r", digest_of(b""), MANIFEST) is None
    with trio.fail_after(20), pytest.raises(Refused):  # a layer that is called a manifest
        await registry.read_manifest("pods/r", digest_of(data), MANIFEST)
    for size in (0, len(data) - 1, len(data) + 1):
        with pytest.raises(Refused):
            await registry.read_blob("pods/r", digest_of(data), size)


@pytest.mark.parametrize("kind", [MANIFEST, "application/vnd.docker.distribution.manifest.v2+json"])
async def test_a_manifest_that_a_registry_never_takes_is_refused_within_seconds(registry, kind):
    """Distribution answers 500 "unknown" to an OCI layer with `urls` that it does not know."""
    config = b"{}"
    await registry.push_blob("pods/u", digest_of(config), len(config), Pieces(config))
    named = {"digest": digest_of(config), "size": len(config)}
    layer = {
        "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "urls": ["ftp://x"],
        **named,
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": kind,
        "config": {"mediaType": CONFIG, **named},
        "layers": [layer],
    }
    if kind == MANIFEST:
        layer["mediaType"] = "application/vnd.oci.image.layer.nondistributable.v1.tar"
    with trio.fail_after(20), pytest.raises(Refused):
        await registry.push_manifest("pods/u", kind, json.dumps(manifest).encode())


@pytest.mark.parametrize(
    ("status", "code", "refused"),
    [
        (500, "MANIFEST_INVALID", True),
        (400, "NAME_INVALID", True),
        (405, "UNSUPPORTED", True),
        (500, "UNKNOWN", False),
        (503, "UNAVAILABLE", False),
        (429, "TOOMANYREQUESTS", False),
    ],
)
async def test_a_refusal_is_told_by_its_code(api_server, status, code, refused):
    body = json.dumps({"errors": [{"code": code, "message": "no"}]}).encode()
    server = await api_server(answer(status, body))
    async with open_image_registry(server.url) as odd:
        with pytest.raises(Refused if refused else NetworkFailure, match="no"):
            await odd.clear("a")
