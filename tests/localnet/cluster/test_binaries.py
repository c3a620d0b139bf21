# SPDX-License-Identifier: Apache-2.0
"""Where the localnet looks for what is built and installed."""

from tests.paths import ROOT
from trustedpods.localnet.cluster import binaries


def test_the_checkout_is_this_one() -> None:
    assert binaries.checkout() == ROOT.resolve()


def test_the_chains_node_is_the_native_binary() -> None:
    assert binaries.anvil().is_file()
