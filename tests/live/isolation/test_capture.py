# SPDX-License-Identifier: Apache-2.0
"""The control run: what travels in clear is found, in each form, so silence means something."""

import base64
import socket
from pathlib import Path

import pytest

from tests.live.observers.capture import Marker, capture, flows, leaks

pytestmark = pytest.mark.live


def send_over_loopback(payload: bytes) -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            accepted, _ = server.accept()
            with accepted:
                client.sendall(payload)
                client.shutdown(socket.SHUT_WR)
                while accepted.recv(65536):
                    pass
    return port


@pytest.mark.parametrize("shift", range(5))
def test_a_marker_in_clear_is_found_in_each_form(tmp_path: Path, shift: int) -> None:
    markers = [Marker.make(form) for form in ("raw", "hex", "b64")]
    raw, hexed, encoded = (marker.text.encode() for marker in markers)
    payload = (
        b"x" * (70_000 + shift)
        + raw
        + hexed.hex().encode()
        + base64.b64encode(b"y" * shift + encoded + b"z" * 7)
    )
    with capture("lo", tmp_path / "lo.pcap") as path:
        port = send_over_loopback(payload)
    stream = next(flow.data for flow in flows(path) if flow.target[1] == port)
    assert stream == payload
    found = leaks(stream, markers)
    assert len(found) == 3, found
