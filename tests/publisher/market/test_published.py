# SPDX-License-Identifier: Apache-2.0
"""Market files that are published: fetched whole, checked, kept or refused. A real server gives them."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from trustedpods.protocol.errors import BadInput, NetworkFailure, TrustedPodsError
from trustedpods.publisher.context import parse_market, read_market
from trustedpods.publisher.market.published import MAX_BYTES, check_contracts, check_node, fetch, keep, shown

FILE = b"""rpc = "https://rpc.example.org"
chain_id = 10
payments = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
registry = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
token = "0x90F79bf6EB2c4f870365E785982E1f101E93b906"
finality_blocks = 5
"""
SIMULATED = FILE + b'[simulated]\nroot = "-----BEGIN CERTIFICATE-----"\n'

Answer = Callable[[BaseHTTPRequestHandler], None]


def giving(body: bytes, status: int = 200, **headers: str) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    return answer


def cut_off(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.send_header("Content-Length", str(len(FILE)))
    request.end_headers()
    request.wfile.write(FILE[:40])


@contextmanager
def publishing(answer: Answer) -> Iterator[str]:
    """Its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def do_POST(self) -> None:
            answer(self)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/market.toml"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    "given", [None, hashlib.sha256(FILE).hexdigest(), hashlib.sha256(FILE).hexdigest().upper()]
)
async def test_a_file_is_kept_byte_for_byte(tmp_path: Path, given: str | None) -> None:
    place = tmp_path / "markets" / "play.toml"
    with publishing(giving(FILE)) as url:
        fetched = await fetch(url, given, place)
    assert not place.parent.exists(), "nothing is kept before its contracts were looked at"
    keep(fetched)
    assert place.read_bytes() == FILE
    assert read_market(place) == fetched.file
    assert fetched.sha256 == hashlib.sha256(FILE).hexdigest()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (FILE + b"more = 1\n", "unknown field 'more'"),
        (FILE.replace(b"chain_id = 10\n", b""), "'chain_id' is missing"),
        (b"<html>", "not valid TOML"),
        (b"\xff", "not valid TOML"),
        (SIMULATED, "its hardware is simulated"),
        (FILE.replace(b"= 10", b"= 0x" + b"f" * 3700), "chain_id must be from 1 to 18446744073709551615"),
        (FILE + b"#" * MAX_BYTES, "larger than 4 KiB"),
    ],
)
async def test_what_is_no_market_is_refused_with_its_address(
    tmp_path: Path, body: bytes, message: str
) -> None:
    with publishing(giving(body)) as url, pytest.raises(BadInput, match=message) as caught:
        await fetch(url, None, tmp_path / "play.toml")
    assert caught.value.where == url


@contextmanager
def dripping() -> Iterator[str]:
    """The URL of a server whose headers never end: no single read of them takes long."""
    ended = threading.Event()

    def drips(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        while not ended.wait(0.01):
            request.wfile.write(b"x")

    with publishing(drips) as url:
        try:
            yield url
        finally:
            ended.set()


async def test_a_server_that_drips_is_given_up(tmp_path: Path) -> None:
    with dripping() as url, pytest.raises(NetworkFailure, match="it did not come within") as caught:
        await fetch(url, None, tmp_path / "play.toml", whole_s=0.3)
    assert caught.value.rule == "timeout"


async def test_a_node_that_drips_is_given_up() -> None:
    with dripping() as url:
        file = parse_market(FILE.replace(b"https://rpc.example.org", f"{url}v3/k3y".encode()), Path("a"))
        with pytest.raises(NetworkFailure, match="did not answer within") as caught:
            await check_contracts(file, url, whole_s=0.3)
    assert caught.value.rule == "timeout"
    assert "k3y" not in str(caught.value), "a node's path may be what opens it"


async def test_a_market_that_was_swapped_is_not_taken_for_the_one_that_is_kept(tmp_path: Path) -> None:
    place, swapped = tmp_path / "play.toml", FILE.replace(b"chain_id = 10", b"chain_id = 11")
    digest = hashlib.sha256(swapped).hexdigest()
    place.write_bytes(FILE)
    with publishing(giving(FILE)) as url:
        await fetch(url, None, place, kept=place)
    with publishing(giving(swapped)) as url:
        with pytest.raises(BadInput, match=f"another market.*{digest}"):
            await fetch(url, None, place, kept=place)
        assert (await fetch(url, digest, place, kept=place)).data == swapped
        assert (await fetch(url, None, place, kept=tmp_path / "none")).data == swapped
    assert place.read_bytes() == FILE


def test_a_node_is_asked_over_tls_where_a_file_comes_from_elsewhere() -> None:
    inside = parse_market(FILE.replace(b"https://rpc.example.org", b"http://169.254.169.254/"), Path("a"))
    check_node(inside, "http://127.0.0.1:1/market.toml")
    with pytest.raises(BadInput, match="its rpc is not an https URL"):
        check_node(inside, "https://market.example.org/market.toml")


async def test_a_setting_of_the_environment_that_is_wrong_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "foo://x")
    with pytest.raises(NetworkFailure, match="cannot be fetched"):
        await fetch("https://market.invalid/market.toml", None, tmp_path / "play.toml")


async def test_another_digest_is_refused(tmp_path: Path) -> None:
    with publishing(giving(FILE)) as url, pytest.raises(BadInput, match="not the one that was given"):
        await fetch(url, "0" * 64, tmp_path / "play.toml")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (giving(b"", 404), "status 404"),
        (giving(FILE, 302, Location="https://elsewhere.example.org/"), "status 302"),
        (cut_off, "cannot be fetched"),
    ],
    ids=["not there", "elsewhere", "cut off"],
)
async def test_what_does_not_come_is_said(tmp_path: Path, answer: Answer, message: str) -> None:
    with publishing(answer) as url, pytest.raises(NetworkFailure, match=message) as caught:
        await fetch(url, None, tmp_path / "play.toml")
    assert caught.value.where == url


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/a",
        "file:///etc/passwd",
        "market.toml",
        "https://",
        "https://[",
        "ftp://127.0.0.1/a",
    ],
)
async def test_only_tls_leaves_this_machine(tmp_path: Path, url: str) -> None:
    with pytest.raises(BadInput, match="over https"):
        await fetch(url, None, tmp_path / "play.toml")


SECRET = "h4ck-m3"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (f"https://me:{SECRET}@example.org/market.toml", "https://example.org/market.toml"),
        (f"https://{SECRET}@[::1]:8443/a?token={SECRET}#{SECRET}", "https://[::1]:8443/a"),
        (f"http://me:{SECRET}@example.org", "http://example.org"),
        (f"me:{SECRET}@example.org/market.toml?{SECRET}", "example.org/market.toml"),
        (f"https://me:{SECRET}@[", "["),
        (f"https://me:{SECRET}@host:port/", "host:port/"),
    ],
)
def test_a_url_is_said_without_what_is_secret_in_it(url: str, said: str) -> None:
    assert shown(url) == said


@pytest.mark.parametrize("answer", [giving(b"", 404), giving(b"<html>"), giving(SIMULATED), cut_off])
async def test_no_failure_says_a_password_that_stands_in_the_address(tmp_path: Path, answer: Answer) -> None:
    with publishing(answer) as url, pytest.raises(TrustedPodsError) as caught:
        await fetch(f"{url.replace('//', f'//me:{SECRET}@')}?key={SECRET}", None, tmp_path / "play.toml")
    assert caught.value.where == url
    assert SECRET not in f"{caught.value.what} {caught.value.hint}"
