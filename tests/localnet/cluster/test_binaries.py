# SPDX-License-Identifier: Apache-2.0
"""Where the localnet looks for what is built and installed."""

from tests.paths import ROOT
from trustedpods.localnet.cluster import binaries


def test_the_checkout_is_this_one() -> None:
    assert binaries.checkout() == ROOT.resolve()


def test_the_chains_node_is_the_native_binary() -> None:
    assert binaries.anvil().is_file()


def test_in_a_machines_image_programs_are_what_came_with_it(monkeypatch) -> None:
    monkeypatch.setenv("TRUSTEDPODS_PROGRAMS", "/image/bin")
    found = (
        binaries.kube(),
        binaries.netpol(),
        binaries.tunnel(),
        binaries.provisioner(),
        binaries.netpol_cni(),
        binaries.image("pause"),
    )
    assert [str(path) for path in found] == [
        "/image/bin/kube",
        "/image/bin/trustedpods-netpol-agent",
        "/image/bin/trustedpods-tunnel",
        "/image/bin/local-path-provisioner",
        "/usr/lib/cni/trustedpods-netpol",
        "/image/images/pause.tar",
    ]
