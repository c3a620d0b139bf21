# SPDX-License-Identifier: Apache-2.0
"""The client for S3 without a server: what is said then, and that no credentials are in it."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.provider.facade.parts import free_port
from trustedpods.protocol.errors import BadInput, StoreFailure
from trustedpods.publisher.backups.places import open_store
from trustedpods.publisher.backups.pod_backups import PodBackups


@pytest.fixture
def store(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "marker-access")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "marker-secret")
    return open_store(f"s3+http://127.0.0.1:{free_port()}/shop/words")


def test_nobody_answers(store):
    with pytest.raises(StoreFailure) as error:
        store.put("pod/index/one", b"")
    assert error.value.what.startswith("cannot keep pod/index/one: ")
    assert "marker" not in f"{error.value} {error.value.hint}"


@pytest.mark.parametrize("name", ["../out", "", "a//b"])
def test_no_name_leads_out(store, name):
    for ask in (lambda: store.get(name, 1), lambda: store.put(name, b""), lambda: list(store.listed(name))):
        with pytest.raises(BadInput, match="no name of an object"):
            ask()


class _Odd(BaseHTTPRequestHandler):
    """A server whose every listing has names that nobody asked for."""

    KEYS = ("a", "pod/data", "other/data/x", "words/pod", "words/pod/data-x/y", "words/pod/data/one")

    def do_GET(self):
        rows = "".join(
            f"<Contents><Key>{key}</Key><LastModified>2026-11-29T00:00:00.000Z</LastModified>"
            f"<ETag>x</ETag><Size>1</Size></Contents>"
            for key in self.KEYS
        )
        text = f"<ListBucketResult><IsTruncated>false</IsTruncated>{rows}</ListBucketResult>".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        """Nothing is said."""


def test_names_that_nobody_asked_for_are_left_out(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "marker-access")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "marker-secret")
    with ThreadingHTTPServer(("127.0.0.1", 0), _Odd) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            store = open_store(f"s3+http://127.0.0.1:{server.server_port}/shop/words")
            assert [one.name for one in store.listed("pod/data")] == ["pod/data/one"]
            PodBackups(store, "pod", b"s" * 32).remove_left_over("0000000a", 1_795_946_400)
        finally:
            server.shutdown()
            thread.join()
