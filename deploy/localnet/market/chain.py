# SPDX-License-Identifier: Apache-2.0
"""The localnet's chain: anvil, with blocks every second and its state on disk."""

import sys
from functools import partial

from trustedpods.localnet import network
from trustedpods.localnet.cluster import binaries
from trustedpods.localnet.commands import run
from trustedpods.localnet.processes import probes
from trustedpods.localnet.processes.units import Part, Step, Unit
from trustedpods.localnet.settings import Settings


def units(settings: Settings) -> list[Unit]:
    """The node of the chain, and the market on it."""
    port = settings.clusters[0].ports.chain
    state = str(settings.state / "chain.json")
    argv = (
        sys.executable, "-m", "trustedpods.localnet.market.chain_state", state,
        str(binaries.anvil()), "--host", settings.gateway, "--port", str(port),
        "--chain-id", str(settings.chain_id), "--block-time", "1",
        "--state", state, "--state-interval", "1",
        "--accounts", "1", "--quiet",
    )  # fmt: skip
    probe = partial(probes.tcp, None, settings.gateway, port)
    return [
        Step("network", partial(_make_network, settings)),
        Part("chain", argv, probe, ("network",), {"NO_COLOR": "1"}),
        Step("market", partial(_make_market, settings), ("chain",)),
    ]


def _make_market(settings: Settings) -> None:
    run([sys.executable, "-m", "trustedpods.localnet.market.market", settings.state])


def _make_network(settings: Settings) -> None:
    if settings.octet:
        network.make_host_side(settings)
