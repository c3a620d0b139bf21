# SPDX-License-Identifier: Apache-2.0
import socket

import pytest

from tests.provider.test_config import GOOD
from trustedpods.protocol.errors import BadInput
from trustedpods.provider.config import load_config
from trustedpods.provider.setup import site
from trustedpods.provider.setup.facts import is_public
from trustedpods.provider.setup.site import RealSite, kubeconfig


def test_a_kubeconfig_is_the_one_that_was_named_or_found(tmp_path):
    assert kubeconfig("/given") == "/given"
    file = tmp_path / "config"
    file.write_text("")
    assert kubeconfig(None, {"KUBECONFIG": str(file)}) == str(file)
    with pytest.raises(BadInput, match="no Kubernetes was found") as caught:
        kubeconfig(None, {"KUBECONFIG": str(tmp_path / "absent")}, places=[str(tmp_path / "nor-this")])
    assert "k3s" in caught.value.hint


def test_ports_at_which_somebody_listens_are_seen():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert site.taken({port: "a use"}) == {port: "a use"}
    assert site.taken({port: "a use"}) == {}


def test_the_machine_tells_what_it_is():
    found = RealSite().machine()
    assert found.tee in {None, "sev-snp", "tdx"}
    assert found.address is None or found.address.count(".") == 3


async def test_a_daemon_that_does_not_run_is_none(tmp_path):
    path = tmp_path / "provider.toml"
    path.write_text(GOOD.replace("/var/lib/tp", str(tmp_path)))
    assert await RealSite().daemon(load_config(path)) is None


@pytest.mark.parametrize(
    ("address", "public"),
    [("9.9.9.9", True), ("10.0.0.1", False), ("192.168.1.1", False), ("100.64.0.1", False), (None, False)],
)
def test_which_addresses_the_world_reaches(address, public):
    assert is_public(address) is public
