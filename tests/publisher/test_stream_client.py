# SPDX-License-Identifier: Apache-2.0
"""Verbs that carry bytes, as a Python program and as a person call them."""

import contextlib
import json

import trio

from tests.publisher.test_cli import cli
from tests.publisher.test_client import market
from tests.publisher.verbs.streams.test_copying import tar
from tests.publisher.verbs.streams.test_following import Followed
from trustedpods import publisher

__all__ = ["cli", "market"]


async def echo(stream):
    with contextlib.suppress(trio.BrokenResourceError):  # whoever goes in the middle leaves a reset
        while data := await stream.receive_some():
            await stream.send_all(data)


async def serve_echo(nursery):
    (listener,) = await nursery.start(
        lambda task_status: trio.serve_tcp(echo, 0, host="127.0.0.1", task_status=task_status)
    )
    return listener.socket.getsockname()[1]


async def test_a_program_has_all_three(market, tmp_path):
    got, pieces = [], [b"bytes", b""]

    async def read(_most):
        await trio.lowlevel.checkpoint()
        return pieces.pop(0)

    async def write(stream, data):
        await trio.lowlevel.checkpoint()
        got.append((stream, data))

    (tmp_path / "file").write_text("text")
    peer = market.peer()
    peer.programs["tar"] = tar
    async with peer.serve(), publisher.connect() as client, trio.open_nursery() as nursery:
        peer.declared = {8080: await serve_echo(nursery)}
        await client.deploy(market.folder / "pod.yaml", deposit="1h")
        done = await client.exec_stream("hello", ["cat"], read=read, write=write)
        assert (done.exit_code, got) == (0, [("stdout", b"bytes")])
        copied = await client.copy(f"hello:{tmp_path}/file", tmp_path / "again")
        assert isinstance(copied, publisher.CopyResult)
        assert (tmp_path / "again").read_text() == "text"
        async with client.port_forward("hello", [":8080"]) as forwarded:
            assert isinstance(forwarded, publisher.ForwardResult)
            async with await trio.open_tcp_stream("127.0.0.1", forwarded.ports[0].local) as stream:
                await stream.send_all(b"here")
                assert await stream.receive_some() == b"here"
        nursery.cancel_scope.cancel()


async def test_a_person_is_told_what_to_do(cli, bench, tmp_path):
    (tmp_path / "file").write_text("text")
    peer = bench.peer()
    peer.programs["tar"] = tar
    peer.declared = {8080: 1}
    async with peer.serve():
        assert (await cli("deploy", bench.folder / "pod.yaml")).exit_code == 0
        copied = await cli("cp", f"hello:{tmp_path}/file", tmp_path / "again")
        assert copied.exit_code == 0, copied.output
        assert copied.stdout == f"hello:{tmp_path}/file -> {tmp_path}/again: 1 file, 0.0 MB\n"
        undeclared = await cli("port-forward", "hello", ":9999")
        assert (undeclared.exit_code, "[forward-port]" in undeclared.stderr) == (6, True)
        assert (await cli("port-forward", "hello", "http")).exit_code == 2
        assert (await cli("cp", "a", "b")).exit_code == 2
        no_terminal = await cli("exec", "-it", "hello", "--", "cat")
        assert (no_terminal.exit_code, "leave -t out" in no_terminal.stderr) == (242, True)


async def test_lines_are_followed_by_a_person_and_by_a_program(cli, market, bench):
    peer = bench.peer()
    async with peer.serve():
        assert (await cli("deploy", bench.folder / "pod.yaml")).exit_code == 0
        followed = Followed(peer)
        followed.write("one", "a")
        followed.write("two", "b")
        followed.gone = "the pod is gone"
        told = await cli("logs", "hello", "-f", "--since", "5m")
        assert told.exit_code == 0, told.output
        assert told.stdout == "a\n[two/web] b\n"
        assert "no more lines come: the pod is gone" in told.stderr
        assert followed.bodies[-1].since_s == 300
        told = await cli("logs", "hello", "-f", "-o", "json")
        first, second = map(json.loads, told.stdout.splitlines())
        assert first == {
            "time": "1970-01-01T00:00:00.000000001Z",
            "replica": "one",
            "container": "web",
            "text": "a",
        }
        assert second["replica"] == "two"
        for words in (["-f", "-p"], ["--tail", "0"], ["-f", "-o", "yaml"], ["-f", "--since", "soon"]):
            assert (await cli("logs", "hello", *words)).exit_code == 2
        async with publisher.connect() as client, client.follow_logs("hello", tail=1) as lines:
            assert [line.text async for line in lines] == ["a", "b"]
