# SPDX-License-Identifier: Apache-2.0
"""Pods of nodes at a provider over real libp2p: one with volumes that outlive it."""

import pytest

from tests.fakes.network_states import SHOP
from trustedpods.protocol.errors import Refused
from trustedpods.publisher.core.networks.plan import pod_name
from trustedpods.publisher.verbs.deploy import DeployOptions
from trustedpods.publisher.verbs.networks.nodes import MarketPods


async def test_a_node_with_volumes_that_outlive_it_is_not_touched_until_it_is_purged(bench):
    name = pod_name(SHOP, "a")

    def pods(*, purge=False):
        return MarketPods(bench.account, SHOP, {}, DeployOptions(), bench.journal(), purge)

    async with bench.peer().serve() as peer:
        await bench.deploy(name)
        peer.outliving = {"data-pod-0": 512}
        with pytest.raises(Refused) as caught:
            await pods().remove("a")
        assert (caught.value.rule, peer.phase) == ("not-agreed", "serving")
        assert "--purge" in caught.value.hint
        assert f"trustedpods delete {name} --purge" in caught.value.hint
        await pods(purge=True).remove("a")
        assert (await bench.status(name)).pod.channel.live is None


async def test_a_pod_that_is_gone_already_is_no_error(bench):
    async with bench.peer().serve():
        await MarketPods(bench.account, SHOP, {}, DeployOptions(), bench.journal()).remove("a")
