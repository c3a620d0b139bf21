# SPDX-License-Identifier: Apache-2.0
"""Three owners' nodes of two instances: sound as they are, each with a database that knows nobody else."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.fakes.images.oci_images import ImageFiles
from tests.paths import EXAMPLES
from trustedpods.manifests.rendering import rendered
from trustedpods.protocol.ids import parse_address
from trustedpods.protocol.networks.book import BookEntry, NetworkBook
from trustedpods.protocol.networks.members import NetworkName
from trustedpods.protocol.sealing.trust_anchors import trust_anchor
from trustedpods.provider.core.generated.key_pairs import made_key, public_key
from trustedpods.publisher.core.networks.plan import pod_name
from trustedpods.publisher.verbs.networks.files import NetworkFile, read_network

SOMEBODY = parse_address("0x70997970C51812dc3A010C7d01b50e0d17dc79C8")
OTHERS = {
    "acme": "2=bolt-node.mpc.internal:9000,3=cato-node.mpc.internal:9000",
    "bolt": "1=acme-node.mpc.internal:9000,3=cato-node.mpc.internal:9000",
    "cato": "1=acme-node.mpc.internal:9000,2=bolt-node.mpc.internal:9000",
}


def run(*words: str | Path) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, str(EXAMPLES / "mpc-3x2" / "mpc.py"), *map(str, words)]
    return subprocess.run(argv, check=False, capture_output=True, text=True)


def made(who: str, folder: Path) -> NetworkFile:
    """An owner's file, as a command reads it in his folder."""
    for image in ("mpc", "postgres"):
        ImageFiles().write_archive(folder / f"{image}.tar")
    done = run("files", who, SOMEBODY, folder)
    assert done.returncode == 0, done.stderr
    return read_network(folder / "mpc.yaml", folder / "cache", SOMEBODY)


@pytest.fixture(scope="module")
def acme(tmp_path_factory: pytest.TempPathFactory) -> NetworkFile:
    return made("acme", tmp_path_factory.mktemp("acme"))


@pytest.mark.parametrize("who", OTHERS)
def test_each_owners_node_is_called_by_his_name_and_calls_the_others(who: str, tmp_path: Path) -> None:
    node = made(who, tmp_path).pods["node"].manifest
    told = {one.name: str(one.value) for one in node.spec.containers[0].env}
    assert (told["NODE"], told["PEERS"]) == (str(1 + list(OTHERS).index(who)), OTHERS[who])
    assert node.identity == ("tls", "tls.key")
    assert node.identity_key is not None
    assert node.identity_key.certificates == {"tls.pem": f"{who}-node.mpc.internal"}


def test_a_node_has_two_instances_and_lets_two_owners_in(acme: NetworkFile) -> None:
    spec = acme.pods["node"].manifest.spec
    assert (spec.workload, spec.replicas, spec.network.linked_nodes) == ("replicated", 2, 2)
    sdk, mpc = spec.services
    assert sdk.session_affinity is not None
    assert (sdk.name, sdk.expose, sdk.session_affinity.header) == ("sdk", "http", "Session")
    assert (mpc.name, mpc.expose, mpc.session_affinity) == ("mpc", "nodePort", None)
    assert "tls.key" not in acme.pods["node"].loaded.secrets["tls"]


def test_its_database_is_beside_it_and_exposed_to_nobody(acme: NetworkFile) -> None:
    node, database = acme.pods["node"], acme.pods["db"]
    spec = database.manifest.spec
    assert [(one.name, one.expose) for one in spec.services] == [("sql", "none")]
    assert (spec.network.nodes, spec.network.linked_nodes, spec.network.egress) == ([], 0, [])
    called = pod_name(NetworkName(SOMEBODY, "mpc"), "db")
    ((to,),) = [rule.to for rule in node.manifest.spec.network.egress]
    assert to.pod == called, "its own database's pod, as the network calls it"
    told = {one.name: str(one.value) for one in node.manifest.spec.containers[0].env}
    assert told["DATABASE"].split()[0] == f"host=sql.{called}.internal"
    assert node.loaded.secrets["keys"]["password"] == database.loaded.secrets["keys"]["password"]
    assert len({str(one.where) for one in acme.nodes}) == 1, "in one cluster"


def a_digit(digit: int) -> Callable[[int], bytes]:
    """Random bytes that are all the same."""
    return lambda size: bytes([digit]) * size


def test_a_node_trusts_exactly_those_whom_it_is_linked_to(acme: NetworkFile) -> None:
    names = ("bolt-node", "cato-node")
    keys = {name: public_key(made_key("p256", a_digit(digit))) for digit, name in enumerate(names, 7)}
    entries = [
        BookEntry(node=name, service="mpc", port=9000, transport="TCP", identity=key)
        for name, key in sorted(keys.items())
    ]
    book = NetworkBook(network="mpc", node="node", generation=1, entries=entries)
    bundle = rendered(acme.pods["node"].loaded.secrets["peers"]["peers.pem"].decode(), book)
    for name, key in keys.items():
        assert trust_anchor(key, (f"{name}.mpc.internal",)) in bundle
    assert bundle.count("BEGIN CERTIFICATE") == len(keys)


def test_passwords_are_made_once(tmp_path: Path) -> None:
    assert run("files", "acme", SOMEBODY, tmp_path).returncode == 0
    before = {file: file.read_text() for file in (tmp_path / "keys").iterdir()}
    assert {file.name for file in before} == {"password", "api-key"}
    assert len(set(before.values())) == 2
    assert all(file.stat().st_mode & 0o77 == 0 for file in before)
    again = run("files", "acme", SOMEBODY, tmp_path)
    assert again.returncode == 1
    assert again.stderr == f"{tmp_path / 'keys'} is there: a node keeps its passwords\n"
    assert {file: file.read_text() for file in (tmp_path / "keys").iterdir()} == before


def test_who_is_none_of_the_three_or_has_no_address_has_no_files(tmp_path: Path) -> None:
    for words in (("dora", SOMEBODY), ("acme", "somebody")):
        assert run("files", *words, tmp_path).returncode == 2
    assert list(tmp_path.iterdir()) == []


@contextmanager
def three_nodes(*signatures: str) -> Iterator[tuple[list[str], list[tuple[str, str, str]]]]:
    """Where nodes answer with these, and what they were asked: path, session and key."""
    asked: list[tuple[str, str, str]] = []

    def handler(signature: str) -> type[BaseHTTPRequestHandler]:
        class Node(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                asked.append((self.path, self.headers["Session"], self.headers["Authorization"]))
                self.send_response(200)
                self.end_headers()
                self.wfile.write(json.dumps({"signature": signature}).encode())

            def log_message(self, *words: object) -> None: ...

        return Node

    servers = [ThreadingHTTPServer(("127.0.0.1", 0), handler(one)) for one in signatures]
    threads = [Thread(target=one.serve_forever) for one in servers]
    for thread in threads:
        thread.start()
    yield [f"http://127.0.0.1:{one.server_port}/" for one in servers], asked
    for server, thread in zip(servers, threads, strict=True):
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_client_asks_all_three_in_one_session_with_each_ones_key(tmp_path: Path) -> None:
    with three_nodes("ab", "ab", "ab") as (urls, asked):
        nodes = []
        for number, url in enumerate(urls):
            (tmp_path / f"key{number}").write_text(f"k{number}")
            nodes.append(f"{url}={tmp_path / f'key{number}'}")
        done = run("sign", "wallet", "pay nobody", *nodes)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ab\n", "")
    assert Counter(path for path, _, _ in asked) == {"/open": 3, "/sign": 3, "/close": 3}
    assert len({session for _, session, _ in asked}) == 1
    assert Counter(key for _, _, key in asked) == {f"Bearer k{number}": 3 for number in range(3)}


def test_signatures_that_differ_are_none(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("k")
    with three_nodes("ab", "ab", "cd") as (urls, _):
        done = run("sign", "wallet", "pay nobody", *(f"{url}={tmp_path / 'key'}" for url in urls))
    assert (done.returncode, done.stdout) == (1, "")
    assert "the nodes do not say the same signature" in done.stderr
