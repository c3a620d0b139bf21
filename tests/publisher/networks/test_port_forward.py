# SPDX-License-Identifier: Apache-2.0
"""`kubectl` as this door takes it: a program of the test's own in its place, and its words for each error."""

import stat
import sys

import pytest
import trio

from trustedpods.protocol.errors import NetworkFailure, NoContext, Refused
from trustedpods.publisher.networks.port_forward import failure, forwarded, published

ENDPOINT = "/ip4/192.0.2.1/tcp/4001/p2p/12D3KooWPeer"

FAKE = f"""#!{sys.executable}
import os, sys, time
open(os.environ["SAID"], "w").write(chr(10).join(sys.argv[1:]))
words, error = os.environ["WORDS"], os.environ.get("ERROR", "")
sys.stderr.write(error)
sys.stderr.flush()
sys.stdout.write(words)
sys.stdout.flush()
if words and "port-forward" in sys.argv:
    time.sleep(600)
sys.exit(0 if "get" in sys.argv and not error else 1)
"""


@pytest.fixture
def kubectl(tmp_path, monkeypatch):
    """A `kubectl` that says what it is told to; returned: where it leaves its arguments."""
    program = tmp_path / "bin" / "kubectl"
    program.parent.mkdir()
    program.write_text(FAKE)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(program.parent))
    monkeypatch.setenv("SAID", str(tmp_path / "said"))
    return tmp_path / "said"


async def test_the_local_end_with_the_peer_that_must_answer(kubectl, monkeypatch):
    monkeypatch.setenv("WORDS", "Forwarding from 127.0.0.1:40123 -> 4001\n")
    with trio.fail_after(20):
        async with forwarded("admin@prod", ENDPOINT) as address:
            assert address == "/ip4/127.0.0.1/tcp/40123/p2p/12D3KooWPeer"
        async with forwarded("admin@prod", "/p2p/12D3KooWPeer") as address:
            assert address.endswith("/p2p/12D3KooWPeer")
    said = kubectl.read_text().splitlines()
    assert said[0] == "--context=admin@prod", "a name that begins with a dash is no option"
    assert said[1:] == [
        "--namespace=trustedpods-system",
        "port-forward",
        "--address=127.0.0.1",
        "service/trustedpods-daemon",
        ":daemon",
    ]


async def test_its_last_words_are_told_where_nobody_answers_behind_it(kubectl, monkeypatch):
    monkeypatch.setenv("ERROR", "first\nan error occurred forwarding: connection refused\n")
    monkeypatch.setenv("WORDS", "Forwarding from 127.0.0.1:40123 -> 4001\n")
    with pytest.raises(NetworkFailure, match=r"no answer .*connection refused"), trio.fail_after(20):
        async with forwarded("k2", ENDPOINT):
            raise NetworkFailure("no answer")


@pytest.mark.parametrize(
    ("said", "kind", "told"),
    [
        ('error: context "k9" does not exist', NoContext, "no context 'k2'"),
        (
            'Error from server (Forbidden): pods "x" is forbidden: User "eve" cannot create resource '
            '"pods/portforward"',
            Refused,
            "does not let you",
        ),
        (
            'error: error upgrading connection: unable to upgrade connection: pods "trustedpods-daemon" is '
            'forbidden: User "eve" cannot create resource "pods/portforward"',
            Refused,
            "does not let you",
        ),
        ("error: You must be logged in to the server (Unauthorized)", Refused, "does not let you"),
        (
            'Error from server (NotFound): services "trustedpods-daemon" not found',
            NoContext,
            "no daemon is published",
        ),
        ("error: timed out waiting for the condition", NetworkFailure, "timed out"),
        ("", NetworkFailure, "no word why"),
    ],
)
async def test_what_it_fails_with(kubectl, monkeypatch, said, kind, told):
    monkeypatch.setenv("WORDS", "")
    monkeypatch.setenv("ERROR", said)
    with pytest.raises(kind, match=told) as caught, trio.fail_after(20):
        async with forwarded("k2", ENDPOINT):
            raise AssertionError
    assert caught.value.where == "context k2"
    assert type(failure("k2", said)) is kind


async def test_which_daemon_a_cluster_has(kubectl, monkeypatch):
    monkeypatch.setenv("WORDS", "0x11/3@/p2p/12D3KooWPeer")
    assert await published("admin@prod") == "0x11/3@/p2p/12D3KooWPeer"
    said = kubectl.read_text().splitlines()
    assert said[0] == "--context=admin@prod"
    assert said[2:] == [
        "get",
        "service/trustedpods-daemon",
        r"--output=jsonpath={.metadata.annotations.trustedpods\.dev/daemon}",
    ]
    monkeypatch.setenv("WORDS", "")
    with pytest.raises(NoContext, match="does not say"):
        await published("k2")
    monkeypatch.setenv("ERROR", 'error: context "k2" does not exist')
    with pytest.raises(NoContext, match="no context 'k2'"):
        await published("k2")


async def test_without_the_program(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoContext, match="kubectl cannot be run"):
        async with forwarded("k2", ENDPOINT):
            raise AssertionError
    with pytest.raises(NoContext, match="kubectl cannot be run"):
        await published("k2")
