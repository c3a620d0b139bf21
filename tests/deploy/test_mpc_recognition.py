# SPDX-License-Identifier: Apache-2.0
"""Nodes of the mpc image that greet each other by TLS: whom nobody takes, it is told so after a while."""

import asyncio
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fakes.images.mpc_image import connections, recognition
from trustedpods.manifests.spec.volume import Generated
from trustedpods.protocol.sealing.trust_anchors import trust_anchor
from trustedpods.provider.core.generated.certificates import with_certificates
from trustedpods.provider.core.generated.key_pairs import private_key, public_key
from trustedpods.provider.core.generated.values import with_generated

HOST = "localhost"
KNOWN, REFUSED, ABSENT = recognition.Greeting


@dataclass(frozen=True)
class Node:
    """Its folder with key, certificate and the bundle of those whom it trusts."""

    folder: Path
    anchor: str

    @property
    def tls(self) -> connections.PeerTls:
        return connections.PeerTls(self.folder, self.folder / "peers.pem")

    def trusts(self, *others: "Node") -> None:
        (self.folder / "peers.pem").write_text("\n".join(one.anchor for one in others))


def node(folder: Path) -> Node:
    """With a key of its own, for the one name that every machine has."""
    folder.mkdir()
    form = Generated.model_construct(
        type="p256", encoding="pem", identity=True, certificates={"tls.pem": HOST}, renewal=0
    )
    values = with_generated({"tls.key": form}, (), secrets.token_bytes)
    made = with_certificates({"tls.key": form}, values, (), secrets.token_bytes, int(time.time()))
    for name, content in made.files.items():
        (folder / name).write_bytes(content)
    key = private_key(made.files["tls.key"], "p256")
    return Node(folder, trust_anchor(public_key(key), (HOST,)))


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Node, Node]:
    """Two nodes that trust each other."""
    one, other = node(tmp_path / "one"), node(tmp_path / "other")
    one.trusts(other)
    other.trusts(one)
    return one, other


async def greeted(
    caller: Node, server: Node | None, said: bytes = b"wait\n", host: str = HOST
) -> recognition.Greeting:
    """What comes of a call to the *server*, which says so much; to nobody where there is none."""

    async def called(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            await reader.readline()
            writer.write(said)
            await writer.drain()
        writer.close()

    context = None if server is None else server.tls.context(serving=True)
    made = await asyncio.start_server(called, "127.0.0.1", 0, ssl=context)
    port = made.sockets[0].getsockname()[1]
    if server is None:
        made.close()
        await made.wait_closed()
    told = await recognition.Recognition(1, {}, caller.tls).greet(host, port)
    made.close()
    return told


def test_a_node_that_is_linked_is_known(pair: tuple[Node, Node]) -> None:
    assert asyncio.run(greeted(*pair)) is KNOWN


def test_whatever_another_node_says_it_is_greeted_again(pair: tuple[Node, Node]) -> None:
    """An error here would end all greetings, and after a while the node would be no more ready."""
    assert asyncio.run(greeted(*pair, said=b"x" * 200_000)) is KNOWN
    assert asyncio.run(greeted(*pair, host=f"{'x' * 70}.{HOST}")) is ABSENT


def test_a_node_that_the_other_does_not_trust_is_refused(pair: tuple[Node, Node]) -> None:
    caller, server = pair
    server.trusts(server)
    assert asyncio.run(greeted(caller, server)) is REFUSED


def test_a_node_that_does_not_trust_the_other_is_refused(pair: tuple[Node, Node]) -> None:
    caller, server = pair
    caller.trusts(caller)
    assert asyncio.run(greeted(caller, server)) is REFUSED


def test_who_is_not_there_refuses_nobody(pair: tuple[Node, Node]) -> None:
    caller, server = pair
    assert asyncio.run(greeted(caller, None)) is ABSENT
    caller.trusts()
    assert asyncio.run(greeted(caller, server)) is ABSENT, "linked to nobody"
    (caller.folder / "tls.pem").unlink()
    assert asyncio.run(greeted(caller, server)) is ABSENT, "no certificate yet"


@pytest.mark.parametrize(
    ("said", "stays"),
    [
        ((REFUSED, REFUSED), False),
        ((REFUSED, ABSENT), False),
        ((REFUSED, KNOWN), True),
        ((ABSENT, ABSENT), True),
        ((KNOWN, KNOWN), True),
    ],
)
def test_only_a_refusal_by_all_who_answer_counts_and_only_after_a_while(
    pair: tuple[Node, Node], said: tuple[recognition.Greeting, ...], stays: bool
) -> None:
    told = recognition.Recognition(1, {}, pair[0].tls)
    began = time.monotonic()
    told.note(said, began + recognition.REFUSED_S)
    assert not told.refused(began + recognition.REFUSED_S - 1), "a moment is no while"
    later = began + recognition.REFUSED_S + 60
    assert told.refused(later) is not stays
    told.note((KNOWN, REFUSED), later)
    assert not told.refused(later), "it is over once one takes it"
