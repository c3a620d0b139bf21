# SPDX-License-Identifier: Apache-2.0
"""Whether a part is ready is asked with a limit: a short one, but in a machine that may be emulated."""

import contextlib
import socket
import threading
from pathlib import Path

import pytest

from tests.localnet.guest.configurations import one_cluster
from trustedpods.localnet.processes import probes
from trustedpods.localnet.settings import ClusterSettings, Ports, Settings

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def answering(listener: socket.socket, after_s: float, stop: threading.Event) -> None:
    """One request, answered late."""
    taken, _ = listener.accept()
    with taken:
        taken.recv(4096)
        stop.wait(after_s)
        with contextlib.suppress(OSError):  # nobody may wait any more
            taken.sendall(ANSWER)


@pytest.mark.parametrize(("limit_s", "in_time"), [(0.2, False), (30.0, True)])
def test_an_answer_that_takes_long_counts_within_the_limit_alone(limit_s: float, in_time: bool) -> None:
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        late = threading.Thread(target=answering, args=(listener, 1.0, stop))
        late.start()
        try:
            if in_time:
                probes.http_ok(None, "127.0.0.1", port, "/", limit_s)
            else:
                with pytest.raises(TimeoutError):
                    probes.http_ok(None, "127.0.0.1", port, "/", limit_s)
        finally:
            stop.set()
            late.join()


def test_a_machine_of_its_own_is_waited_for_longer_than_a_namespace() -> None:
    ports = Ports(chain=1, http=2, registry=3, metrics=4, peer=5)
    shared = Settings(
        name="m", state=Path("/m"), octet=130, clusters=(ClusterSettings(index=1, ports=ports),)
    )
    assert probes.limit(one_cluster()) > probes.limit(shared.all_clusters()[0])
