# SPDX-License-Identifier: Apache-2.0
"""When the localnet calls a daemon ready."""

import socket
from pathlib import Path

import pytest

from tests.localnet.market.test_provider_files import ADDRESS, MARKET, PLACES
from tests.localnet.test_settings import settings
from trustedpods.localnet.market import provider, provider_files
from trustedpods.localnet.processes.units import Part
from trustedpods.provider.config import load_config


def test_a_daemon_is_ready_when_the_operator_is_answered_not_when_a_peer_may_connect(tmp_path: Path) -> None:
    one = settings(clusters=1, state=tmp_path)
    cluster = one.all_clusters()[0]
    file = provider.config_file(cluster)
    file.parent.mkdir(parents=True)
    file.write_text(provider_files.provider_toml(one, cluster, MARKET, ADDRESS, PLACES))
    admin = load_config(file).admin_socket
    admin.parent.mkdir(parents=True)
    (part,) = (unit for unit in provider.units(one, cluster) if unit.name == "k1/provider")
    assert isinstance(part, Part)

    with pytest.raises(FileNotFoundError):
        part.probe()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(admin))
        listener.listen()
        part.probe()
    with pytest.raises(ConnectionRefusedError):
        part.probe()  # the file of a daemon that was killed
