# SPDX-License-Identifier: Apache-2.0
"""The pods of a network's nodes, deployed and removed by the verbs that do it for a single pod."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from trustedpods.protocol.errors import Refused
from trustedpods.protocol.ids import address_from_bytes
from trustedpods.protocol.networks.content import NetworkCluster
from trustedpods.protocol.networks.members import NetworkName
from trustedpods.publisher.core.networks.plan import pod_name
from trustedpods.publisher.core.select import Choice
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.pod import Pod
from trustedpods.publisher.results.deployed import DeployProgress
from trustedpods.publisher.results.pods import DeleteProgress
from trustedpods.publisher.verbs import pods
from trustedpods.publisher.verbs.deploy import DeployOptions, deploy


@dataclass(frozen=True, slots=True)
class MarketPods:
    """Pods in the market, each with a payment channel of its own; `options` are those of every deploy."""

    account: MarketAccount
    network: NetworkName
    pods: Mapping[str, Pod]
    options: DeployOptions
    journal: Journal

    async def deploy(self, node: str, cluster: NetworkCluster) -> str | None:
        """See `NodePods`; raises what `deploy` raises."""
        choice = Choice(address_from_bytes(cluster.owner), cluster.daemon)
        options = replace(self.options, choice=choice)
        done = await deploy(options, self.account, self.pods[node], DeployProgress(), self.journal)
        return next((one.url for one in done.confirmed.endpoints), None)

    async def remove(self, node: str) -> None:
        """See `NodePods`; raises what `delete` raises."""
        name = pod_name(self.network, node)
        try:
            await pods.delete(self.account, name, DeleteProgress(), self.journal)
        except Refused as error:
            if error.rule != "unknown-pod":  # the chain itself says that there is none
                raise
