# SPDX-License-Identifier: Apache-2.0
"""`--verbose` says what is asked of whom, `--quiet` nothing but what must be said; neither tells a secret."""

import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import trio
from click.testing import CliRunner

from tests.publisher.market.test_published import giving, publishing
from tests.publisher.test_cli import cli
from tests.publisher.verbs.offers.test_planned import WITH_MODE, change_manifest
from trustedpods.contracts.client.node import Node
from trustedpods.protocol.errors import ExitCode, NetworkFailure
from trustedpods.publisher.cli import main
from trustedpods.publisher.commands.shell.asked import ASKED, say_what_is_asked
from trustedpods.publisher.market.published import fetch

__all__ = ["cli"]

SECRET = "h4ck-m3"


class Shown:
    """A show that keeps its lines, of any thread."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def line(self, text: str) -> None:
        self.lines.append(text)

    warning = line

    def progress(self, name: str, done: int, total: int) -> None:
        """Nothing."""


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    logger = logging.getLogger(ASKED)
    before = (logger.handlers, logger.propagate, logger.level)
    yield
    logger.handlers, logger.propagate, logger.level = before


@pytest.fixture
def shown(as_before: None) -> Shown:
    made = Shown()
    say_what_is_asked(made)
    return made


class Node404(BaseHTTPRequestHandler):
    """A node that answers every request with the same number."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        answer = json.dumps({"jsonrpc": "2.0", "id": body["id"], "result": "0x" + "0" * 63 + "1"}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Nothing."""


async def test_a_chain_node_is_named_with_the_method_and_nothing_that_opens_it(shown: Shown) -> None:
    about = "0x" + "ab" * 20
    with ThreadingHTTPServer(("127.0.0.1", 0), Node404) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            place = f"127.0.0.1:{server.server_port}"
            node = Node(f"http://me:{SECRET}@{place}/v3/{SECRET}")
            assert await node.read(node.eth.chain_id) == 1
            assert await node.read(node.eth.balance, about) == 1
            assert await node.read(node.eth.send_raw, SECRET.encode() * 20)
            node.close()
        finally:
            server.shutdown()
            thread.join()
    methods = ["eth_chainId", f"eth_getBalance {about}", "eth_sendRawTransaction"]
    assert shown.lines == [f"asked: chain node http://{place}: {method}" for method in methods]
    assert SECRET not in str(shown.lines)


async def test_a_fetched_market_is_named_without_its_password(shown: Shown, tmp_path) -> None:
    with publishing(giving(b"", 404)) as url, pytest.raises(NetworkFailure):
        await fetch(url.replace("//", f"//me:{SECRET}@"), None, tmp_path / "a.toml")
    assert shown.lines == [f"asked: GET {url}"]


def without_time(status: str) -> list[str]:
    """Lines of a status but the one with the second in which it was attested."""
    return [line for line in status.splitlines() if not line.startswith("attested")]


async def test_every_dial_and_request_of_a_verb_is_said_on_standard_error(bench, cli) -> None:
    async with bench.peer().serve() as peer:
        await bench.deploy()
        told = await cli("--verbose", "status", "hello")
        plain = await cli("status", "hello")
        machine = await cli("status", "hello", "--verbose", "-o", "json")
    said = [line for line in told.stderr.splitlines() if line.startswith("asked: ")]
    assert f"asked: dial {peer.row.endpoint}" in said
    assert f"asked: provider of {peer.row.owner}: status" in said
    assert without_time(told.stdout) == without_time(plain.stdout)
    assert "asked: " not in plain.stderr
    assert json.loads(machine.stdout)["phase"], "an object stays one"
    assert bench.key.hex() not in told.stderr


async def test_quiet_leaves_the_result_alone(bench, cli) -> None:
    path = bench.folder / "pod.yaml"
    async with bench.peer().serve():
        loud = await cli("deploy", path, "--deposit", "12h")
        quiet = await cli("--quiet", "deploy", path, "--deposit", "12h")
    assert loud.stderr
    assert (quiet.exit_code, quiet.stderr) == (0, "")
    assert quiet.stdout == loud.stdout


@pytest.mark.parametrize(
    ("verb", "said", "question"),
    [
        (("delete", "hello"), "data-pod-0 (512 MiB) outlive a delete: ", "Delete all but these volumes?"),
        (("restart", "hello"), "hello are proven beside", "Start hello anew?"),
        (("deploy", "pod.yaml"), "variable MODE of hello: new", "Change hello?"),
    ],
)
async def test_quiet_asks_about_nothing_that_is_not_seen(bench, cli, monkeypatch, verb, said, question):
    monkeypatch.setattr("click.testing._NamedTextIOWrapper.isatty", lambda stream: stream.name == "<stdin>")
    monkeypatch.chdir(bench.folder)
    async with bench.peer().serve() as peer:
        await bench.deploy()
        peer.outliving = {"data-pod-0": 512}
        change_manifest(bench, *WITH_MODE)
        done = await cli(*verb, "--quiet", typed="n\n")
    assert done.exit_code == ExitCode.REFUSED, done.output
    assert said in done.stderr[: done.stderr.index(question)]


async def test_quiet_says_errors_all_the_same(cli) -> None:
    failed = await cli("status", "nobody", "--quiet")
    assert failed.exit_code == 6
    assert failed.stderr.startswith("error: ")
    assert "hint: " in failed.stderr


def test_one_excludes_the_other() -> None:
    done = CliRunner().invoke(main, ["list", "--quiet", "--verbose"])
    assert (done.exit_code, done.stderr.splitlines()[0]) == (2, "error: --quiet excludes --verbose")


async def test_the_lines_of_threads_come_whole(shown: Shown) -> None:
    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(trio.to_thread.run_sync, logging.getLogger(ASKED).debug, "n %d", number)
    assert sorted(shown.lines) == sorted(f"asked: n {number}" for number in range(20))


class Closed(Shown):
    """A show whose reader has gone, as `2>&1 | head -1` does."""

    def line(self, text: str) -> None:
        super().line(text)
        raise BrokenPipeError


def test_nobody_who_reads_what_is_asked_ends_no_question() -> None:
    gone = Closed()
    say_what_is_asked(gone)
    logging.getLogger(ASKED).debug("dial %s", "somebody")
    assert gone.lines == ["asked: dial somebody"]
