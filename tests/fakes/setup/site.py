# SPDX-License-Identifier: Apache-2.0
"""A machine, its cluster, a market and a daemon for set-ups, all in memory; the chain is the fake one."""

from dataclasses import dataclass, field

from tests.fakes.chain.chain import FakeChain
from tests.protocol.test_capability_gaps import BARE
from trustedpods.protocol.attestation.chip import NO_CHIP
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.units import Resources
from trustedpods.provider.admin.views import DaemonIdentity
from trustedpods.provider.config import ProviderConfig
from trustedpods.provider.doors import profile_of
from trustedpods.provider.setup.daemon_account import kubeconfig_text
from trustedpods.provider.setup.facts import ClusterFound, MachineFound, MarketFound, OwnerFound
from trustedpods.provider.setup.market_prices import asked, comparable

NODES = {"k1": Resources(4000, 8192, 65536)}
PEER = "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"


@dataclass
class FakeSite:
    """`running`: whether the daemon answers; it runs with the settings of its start, until `restart`.

    `looks` counts the looks at what the owner wrote. `admin`: whether the kubeconfig may make roles;
    `accounts` are the kubeconfigs by which an account was made.
    """

    chain: FakeChain = field(default_factory=FakeChain)
    tee: str | None = None
    address: str | None = "8.8.8.8"
    taken: dict = field(default_factory=dict)
    storage_classes: tuple = ("local-path",)
    nodes: dict = field(default_factory=lambda: dict(NODES))
    user_namespaces: bool = False
    running: bool = False
    admin: bool = False
    accounts: list = field(default_factory=list)
    looks: int = 0
    signer: object = None
    started_with: ProviderConfig | None = None

    def restart(self):
        self.started_with = None

    def machine(self):
        return MachineFound(self.tee, self.address, self.taken)

    async def cluster(self, path):
        offered = NODES["k1"]
        return ClusterFound(
            kubeconfig=path,
            version="v1.36.3",
            nodes=self.nodes,
            allocatable=offered,
            free=offered,
            storage_classes=self.storage_classes,
            ingress_classes=(),
            addresses=("10.0.0.2", "198.18.0.1", "8.8.4.4"),
            user_namespaces=self.user_namespaces,
        )

    async def own_access(self, path):
        if not self.admin:
            raise Refused("clusterroles is forbidden", rule="Forbidden")
        self.accounts.append(path)
        return kubeconfig_text("https://10.0.0.2:6443", b"PEM", b"a.b.c")

    async def market(self, rpc, market, owner, trust):
        await self.chain.check_market()
        info, head, rows = (
            await self.chain.token_info(),
            await self.chain.head(),
            await self.chain.providers(),
        )
        others = comparable(rows, owner=owner, token=market.token, trust=trust, now=head.time)
        return MarketFound(market, info.symbol, info.decimals, asked(others))

    async def owner(self, config, operator):
        self.looks += 1
        if self.signer and self.looks > 1:
            await self.signer()
        owner = config.identity.owner
        return OwnerFound(
            row=await self.chain.provider(owner, config.identity.daemon),
            operator_named=(owner, operator) in self.chain.operators,
            operator_wei=await self.chain.gas_balance(operator),
            gas_price=await self.chain.gas_price(),
        )

    async def daemon(self, config):
        if not self.running:
            return None
        self.started_with = self.started_with or config
        profile = profile_of(self.started_with, BARE, simulated=False, addresses=[])
        return DaemonIdentity(
            profile=profile.hex(),
            endpoint=f"/ip4/8.8.8.8/tcp/4001/p2p/{PEER}",
            meter="0x" + "09" * 20,
            tee=self.tee or "none",
            chip=NO_CHIP.hex(),
        )
