# SPDX-License-Identifier: Apache-2.0
"""Archives of the image builder: the same bytes each time, and what other tools read in them."""

import io
import json
import os
import re
import socket
import subprocess
import tarfile
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

import pytest

from tests.fakes.images.example_images import build, oci, recipes
from tests.fakes.web_server import in_threads
from tests.paths import IMAGES

FILES = {"srv/a.txt": oci.Entry(b"a", mode=0o644, uid=7), "bin/sh": oci.Entry(link="busybox")}


def image(**more):
    return oci.Image("docker.io/local/x:1", [FILES], **more)


def members(archive):
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {item.name: tar.extractfile(item).read() for item in tar if item.isfile()}


def test_the_same_content_is_the_same_bytes(monkeypatch):
    backwards = dict(reversed(FILES.items()))
    assert oci.archive(image()) == oci.archive(oci.Image("docker.io/local/x:1", [backwards]))
    before = oci.archive(image())
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert oci.archive(image()) != before


def test_every_blob_is_named_by_its_digest():
    files = members(oci.archive(image()))
    blobs = {name: data for name, data in files.items() if name.startswith("blobs/")}
    assert len(blobs) == 3
    for name, data in blobs.items():
        assert oci.digest(data) == name.removeprefix("blobs/").replace("/", ":")


def test_a_layer_has_its_folders_owners_and_links():
    with tarfile.open(fileobj=io.BytesIO(oci.layer(FILES))) as tar:
        found = {item.name: item for item in tar}
    assert list(found) == ["bin", "bin/sh", "srv", "srv/a.txt"]
    assert found["bin"].isdir()
    assert found["bin/sh"].linkname == "busybox"
    assert (found["srv/a.txt"].uid, found["srv/a.txt"].mode, found["srv/a.txt"].mtime) == (7, 0o644, 0)


@pytest.mark.parametrize("compress", [True, False])
def test_skopeo_reads_it(tmp_path, compress):
    path = tmp_path / "x.tar"
    path.write_bytes(oci.archive(image(compress=compress, user="7:7", ports=[8080], entrypoint=["/bin/sh"])))
    asked = ["skopeo", "inspect", "--config", f"oci-archive:{path}"]
    config = json.loads(subprocess.run(asked, capture_output=True, check=True).stdout)
    assert config["config"]["User"] == "7:7"
    assert config["config"]["ExposedPorts"] == {"8080/tcp": {}}
    copy = ["skopeo", "copy", "--quiet", f"oci-archive:{path}", f"dir:{tmp_path / 'copy'}"]
    subprocess.run(copy, check=True, capture_output=True)


def test_only_what_is_kept_is_taken(tmp_path):
    rootfs = tmp_path / "rootfs.tar"
    rootfs.write_bytes(oci.layer(FILES))
    assert list(oci.entries_of(rootfs, ["srv/*"])) == ["srv/a.txt"]
    with pytest.raises(KeyError, match="etc"):
        oci.entries_of(rootfs, ["srv/*", "etc/*"])


def test_a_build_is_kept_until_its_inputs_change(tmp_path, monkeypatch, capsys):
    inputs = ["first"]
    recipe = recipes.Recipe(image, lambda: inputs[0])
    monkeypatch.setitem(build.RECIPES, "x", recipe)
    made = build.build("x", tmp_path)
    build.build("x", tmp_path)
    assert "up to date" in capsys.readouterr().out
    inputs[0] = "second"
    build.build("x", tmp_path)
    assert "up to date" not in capsys.readouterr().out
    made.unlink()
    build.build("x", tmp_path)
    assert made.exists()


def test_a_missing_tool_is_named():
    with pytest.raises(recipes.CannotBuild, match="no-such-tool is missing"):
        recipes.run("no-such-tool")
    with pytest.raises(recipes.CannotBuild, match="exit 1"):
        recipes.run("false")


@pytest.mark.live
@pytest.mark.parametrize("name", sorted(recipes.RECIPES))
def test_examples_are_reproducible(tmp_path, name):
    archives = [
        build.build(name, tmp_path / part) for part in ("one", "two") if not (tmp_path / part).mkdir()
    ]
    first, second = (path.read_bytes() for path in archives)
    assert first == second


SIGNERS = ["0x" + digit * 40 for digit in "AbC"]


def votes_of(folder, signers):
    """For whom the hook of the geth image votes, of the *signers* that its file now has."""
    (folder / "keys/signers").write_text("".join(f"{one} 02ab\n" for one in ["# who signs", *signers]))
    script = (IMAGES / "geth/call-peers").read_text()
    for place in ("/keys", "/data"):
        script = script.replace(f"{place}/", f"{folder}{place}/")
    environment = {"PATH": f"{folder}:{os.environ['PATH']}"}
    subprocess.run(["sh", "-c", script], env=environment, check=True, timeout=10)
    return re.findall(r'vote\("(0x\w+)",(\w+)\)', (folder / "asked").read_text())


def test_a_nodes_hook_votes_for_who_is_there_and_against_who_went_and_for_nobody_else(tmp_path):
    for name in ("keys", "data"):
        (tmp_path / name).mkdir()
    (tmp_path / "keys/peers.toml").write_text("StaticNodes = [\n]\n")
    (tmp_path / "geth").write_text(f'#!/bin/sh\necho "$*" > {tmp_path}/asked\necho true\n')
    (tmp_path / "geth").chmod(0o755)
    a, b, c = (one.lower() for one in SIGNERS)
    assert votes_of(tmp_path, []) == [], "whose node was never there is voted neither in nor out"
    assert votes_of(tmp_path, SIGNERS[:2]) == [(a, "true"), (b, "true")]
    assert votes_of(tmp_path, SIGNERS[1:]) == [(a, "false"), (b, "true"), (c, "true")]
    assert votes_of(tmp_path, SIGNERS) == [(one, "true") for one in (a, b, c)]


@contextmanager
def chain(height, begun, period):
    """A node's RPC whose block number N came *period* seconds after the one before; the last is *height*."""

    class Node(BaseHTTPRequestHandler):
        def do_POST(self):
            (block, _) = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["params"]
            number = height if block == "latest" else int(block, 16)
            told = {"number": hex(number), "timestamp": hex(begun + period * number), "parentHash": "0xab"}
            body = json.dumps({"jsonrpc": "2.0", "id": 1, "result": told}, separators=(",", ":"))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *words): ...

    with in_threads(Node) as url:
        yield url


def asked_whether_blocks_grow(url, **more):
    script = ["busybox", "sh", str(IMAGES / "geth/blocks-grow")]
    environment = {"PATH": os.environ["PATH"], "RPC": url} | more
    done = subprocess.run(script, env=environment, capture_output=True, text=True, check=False, timeout=30)
    assert done.stderr == ""
    return done.returncode, done.stdout.strip()


def test_a_chains_probe_holds_while_five_blocks_come_a_minute():
    now = int(time.time())
    with chain(100, now - 200, 2) as url:
        code, said = asked_whether_blocks_grow(url)
        assert code == 0
        assert re.fullmatch(r"block 100: 5 blocks in [1-5]\d s", said)
    with chain(100, now - 300, 2) as url:
        assert asked_whether_blocks_grow(url) == (1, "block 100: not 5 blocks in the last 60 s")
    with chain(4, now - 8, 2) as url:
        assert asked_whether_blocks_grow(url) == (1, "block 4: not 5 blocks yet")
    code, said = asked_whether_blocks_grow(url)
    assert (code, said.splitlines()[-1]) == (1, "the node does not answer")


def test_a_chains_probe_does_not_wait_for_a_node_that_hangs():
    """It would go on in the node's container when whoever asked has gone."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert asked_whether_blocks_grow(url, WITHIN="1") == (1, "the node does not answer")
