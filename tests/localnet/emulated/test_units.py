# SPDX-License-Identifier: Apache-2.0
"""The machine's units: what comes before it boots, and what counts as an answer of its daemon."""

import socket
import threading
from pathlib import Path

import pytest

from tests.localnet.emulated.test_files import PORTS, image
from trustedpods.localnet.emulated import units
from trustedpods.localnet.settings import ClusterSettings, Settings
from trustedpods.protocol.errors import NetworkFailure


def settings(folder: Path, peer: int) -> Settings:
    one = ClusterSettings(index=1, ports=PORTS.model_copy(update={"peer": peer}))
    return Settings(name="m", state=folder / "m", octet=0, clusters=(one,), guest=image(folder))


def test_the_row_is_written_before_the_machine_boots_and_leads_to_it_after(tmp_path: Path) -> None:
    made = settings(tmp_path, 1)
    (cluster,) = made.all_clusters()
    found = units.units(made, cluster)
    assert [(unit.name, unit.needs) for unit in found] == [
        ("k1/disks", ("market",)),
        ("k1/register", ("k1/disks",)),
        ("k1/machine", ("k1/register",)),
        ("k1/row", ("k1/machine",)),
    ]


@pytest.mark.parametrize(
    ("said", "answers"), [(units._HELLO, True), (b"", False), (b"\x13/multistream/2.0.0\n", False)]
)
def test_a_port_that_only_takes_connections_is_no_daemon(tmp_path: Path, said: bytes, answers: bool) -> None:
    def answer() -> None:
        taken, _ = listener.accept()
        with taken:
            taken.sendall(said)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        (cluster,) = settings(tmp_path, listener.getsockname()[1]).all_clusters()
        there = threading.Thread(target=answer)
        there.start()
        try:
            if answers:
                units._answers(cluster)
            else:
                with pytest.raises(NetworkFailure):
                    units._answers(cluster)
        finally:
            there.join()
