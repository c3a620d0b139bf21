# SPDX-License-Identifier: Apache-2.0
"""One question over a socket or HTTP of this machine: bounded in size and time, and left when cancelled."""

import json
import secrets
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import trio

from tests.fakes.chain.signer_device import SignerDevice
from trustedpods.contracts.client.signers.wire import SignerError, SignerWire
from trustedpods.protocol.errors import BadInput, NetworkFailure, Refused

LONG_S, SHORT_S = 30.0, 0.3
MOST = 2_000


@contextmanager
def socket_signer(folder, answer, hold=False):
    device = SignerDevice(folder / "signer.ipc", secrets.token_bytes(32))
    device.answer = lambda _: answer
    if hold:
        device.holds.clear()
    with device.running():
        yield device.path


@contextmanager
def http_signer(_, answer, hold=False):
    held = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            if hold:
                held.wait()
            self.send_response(200)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            try:
                self.wfile.write(answer)
            except OSError:
                return  # who asked has gone

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,)).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        held.set()
        server.shutdown()
        server.server_close()


either = pytest.mark.parametrize("signer", [socket_signer, http_signer])


@either
def test_a_result_comes_back(tmp_path, signer):
    with signer(tmp_path, b'{"jsonrpc": "2.0", "id": 1, "result": {"raw": "0x02"}}\n') as place:
        assert SignerWire(place, LONG_S).ask("account_signTransaction", []) == {"raw": "0x02"}


@either
def test_an_error_comes_with_its_code_and_in_one_line(tmp_path, signer):
    answer = json.dumps({"id": 1, "error": {"code": 4001, "message": "no\x1b[2J\n" + 300 * "!"}}).encode()
    with signer(tmp_path, answer) as place, pytest.raises(SignerError) as error:
        SignerWire(place, LONG_S).ask("account_signTransaction", [])
    assert error.value.code == 4001
    assert error.value.message.startswith("no[2J!")
    assert len(error.value.message) == 200


@either
@pytest.mark.parametrize(
    "answer", [b'{"id": 1}', b'{"id": 2, "result": 1}', b'[1]{"a": {}}', b"[1]", b"", b"\xff}"]
)
def test_what_is_no_answer_is_refused(tmp_path, signer, answer):
    with signer(tmp_path, answer) as place, pytest.raises((Refused, NetworkFailure)) as error:
        SignerWire(place, LONG_S).ask("account_signTransaction", [])
    assert error.value.rule in {"signer-answer", "signer-away"}


@either
def test_a_larger_answer_than_any_is_not_read(tmp_path, signer):
    answer = json.dumps({"id": 1, "result": MOST * "0"}).encode()
    with signer(tmp_path, answer) as place, pytest.raises(Refused, match=f"longer than {MOST} bytes"):
        SignerWire(place, LONG_S, MOST).ask("account_signTransaction", [])


@either
def test_a_device_that_says_nothing_is_waited_for_no_longer_than_is_said(tmp_path, signer):
    with signer(tmp_path, b"", hold=True) as place, pytest.raises(NetworkFailure) as error:
        SignerWire(place, SHORT_S).ask("account_signTransaction", [])
    assert (error.value.rule, int(error.value.exit_code)) == ("signer-silent", 8)
    assert "--wait" in error.value.hint


@either
async def test_who_is_cancelled_waits_no_longer(tmp_path, signer):
    with signer(tmp_path, b"", hold=True) as place, trio.move_on_after(SHORT_S) as scope:
        await trio.to_thread.run_sync(SignerWire(place, LONG_S).ask, "account_signTransaction", [])
    assert scope.cancelled_caught


@pytest.mark.parametrize("place", ["/nowhere/signer.ipc", "http://127.0.0.1:9"])
def test_a_signer_that_is_not_there_is_said_so(place):
    with pytest.raises(NetworkFailure) as error:
        SignerWire(place, LONG_S).ask("account_signTransaction", [])
    assert (error.value.rule, error.value.where) == ("signer-away", place)


@pytest.mark.parametrize(
    "place",
    [
        "http://10.0.0.1:8550",
        "http://me:secret@127.0.0.1:8550",
        "http://signer.example:8550",
        "https://127.0.0.1:8550",
        "relative.ipc",
        "",
        "http://[",
    ],
)
def test_only_this_machine_is_asked(place):
    with pytest.raises(BadInput, match="not a signer on this machine") as error:
        SignerWire(place, LONG_S)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    "place", ["http://localhost:8550", "http://[::1]:8550", "http://127.9.9.9:1", "/x.ipc"]
)
def test_addresses_of_this_machine_are_taken(place):
    assert SignerWire(place, LONG_S).place == place
