# SPDX-License-Identifier: Apache-2.0
"""Other nodes pull a pod's images with the password of that pod, by digest, and nothing else."""

import http.client
import http.server
import ssl
import subprocess
import threading
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

import pytest

from trustedpods.localnet.cluster.pki import Authority, CertificateSubject
from trustedpods.provider.cluster.pull_front import USER, PullFront, haproxy_cfg, hosts_toml, password

KEY = bytes(range(32))
DIGEST = "sha256:" + "ab" * 32
PATH = f"/v2/mine/manifests/{DIGEST}"
START_LIMIT_S = 20


class Registry(http.server.BaseHTTPRequestHandler):
    """Answers everything, and says whether it was shown a password."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(str(self.headers.get("authorization")).encode())

    do_HEAD = do_PUT = do_DELETE = do_GET

    def log_message(self, *_words: object) -> None:
        pass


@dataclass(frozen=True)
class Front:
    port: int
    folder: Path

    def ask(
        self, path: str, opens: str | None = None, method: str = "GET", client: str | None = None
    ) -> tuple[int, bytes]:
        context = ssl.create_default_context(cafile=str(self.folder / "ca.crt"))
        if client is not None:
            context.load_cert_chain(self.folder / f"{client}.crt", self.folder / f"{client}.key")
        headers = {}
        if opens is not None:
            headers["authorization"] = "Basic " + b64encode(f"{USER}:{opens}".encode()).decode()
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=context, timeout=10)
        try:
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    folder = tmp_path_factory.mktemp("front")
    authority = Authority(folder)
    for who in (
        CertificateSubject("front", "front", hosts=("127.0.0.1",)),
        CertificateSubject("node", "system:node:k1n2", ("system:nodes",)),
        CertificateSubject("other", "somebody"),
    ):
        authority.issue(who)
    pem = folder / "front.pem"
    pem.write_bytes((folder / "front.crt").read_bytes() + (folder / "front.key").read_bytes())
    registry = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    threading.Thread(target=registry.serve_forever, daemon=True).start()
    listening = registry.server_address[1]
    port = _free_port()
    shape = PullFront(f"127.0.0.1:{port}", str(pem), str(folder / "ca.crt"), f"127.0.0.1:{listening}")
    file = folder / "haproxy.cfg"
    file.write_text(haproxy_cfg(shape, KEY))
    with subprocess.Popen(["haproxy", "-db", "-f", str(file)]) as process:
        try:
            found = Front(port, folder)
            _until_it_listens(found)
            yield found
        finally:
            process.terminate()
            registry.shutdown()
            registry.server_close()


def _free_port() -> int:
    with http.server.HTTPServer(("127.0.0.1", 0), Registry) as taken:
        return int(taken.server_address[1])


def _until_it_listens(front: Front) -> None:
    deadline = monotonic() + START_LIMIT_S
    while True:
        try:
            front.ask("/")
        except ConnectionRefusedError:
            assert monotonic() < deadline, "HAProxy does not listen"
            sleep(0.02)
        else:
            return


def test_the_pod_s_own_password_opens_its_images_and_goes_no_further(front: Front) -> None:
    mine = password(KEY, "mine")
    assert front.ask(PATH, mine) == (200, b"None")
    assert front.ask(PATH + "?ns=127.0.0.1%3A5000", mine)[0] == 200  # as containerd asks
    assert front.ask(f"/v2/mine/blobs/{DIGEST}", mine)[0] == 200
    assert front.ask(PATH, mine, "HEAD")[0] == 200


@pytest.mark.parametrize("opens", [None, "", password(KEY, "other"), password(KEY[::-1], "mine"), "mine"])
def test_no_other_password_does(front: Front, opens: str | None) -> None:
    assert front.ask(PATH, opens)[0] == 401
    assert front.ask(PATH, opens, "HEAD")[0] == 401


@pytest.mark.parametrize(
    "path",
    [
        "/v2/",
        "/v2/_catalog",
        "/v2/mine/tags/list",
        "/v2/mine/manifests/latest",
        f"/v2/mine/../other/manifests/{DIGEST}",
        f"/v2/mine/%2e%2e/other/manifests/{DIGEST}",
        f"//v2/mine/manifests/{DIGEST}",
        f"/v2/mine/manifests/{DIGEST}/",
    ],
)
def test_only_images_by_digest_are_there(front: Front, path: str) -> None:
    assert front.ask(path, password(KEY, "mine"))[0] == 404


@pytest.mark.parametrize("method", ["PUT", "DELETE", "POST", "PATCH"])
def test_nothing_can_be_changed(front: Front, method: str) -> None:
    assert front.ask(PATH, password(KEY, "mine"), method)[0] == 405


def test_a_node_may_ask_whether_an_image_is_there_and_not_read_it(front: Front) -> None:
    assert front.ask(PATH, method="HEAD", client="node")[0] == 200
    assert front.ask(PATH, client="node")[0] == 401
    assert front.ask(PATH, method="HEAD", client="other")[0] == 401


def test_containerd_is_led_to_the_front() -> None:
    text = hosts_toml("https://10.0.0.11:5443", "/pki/ca.crt")
    assert 'server = "https://10.0.0.11:5443"' in text
    assert 'ca = "/pki/ca.crt"' in text


def test_a_password_is_always_the_same() -> None:
    assert password(KEY, "mine") == "5C1E423AF5A0675774A05726FD641F3BE0A863C3F5173FE06C51B6710C9FA293"
