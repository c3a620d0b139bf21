# SPDX-License-Identifier: Apache-2.0
"""What is outside of the daemon in a simulated year: fakes of its doors that an observer looks at."""

import copy
import os
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from tests.fakes.chain.chain import FakeChain
from tests.fakes.chain.state import address_of
from tests.fakes.cluster import FakeCluster
from tests.fakes.facade import FakeFacade
from tests.fakes.provider.world import World
from tests.year.outside.authority import Switch
from tests.year.outside.observer import UsageObserver
from tests.year.outside.streams import memory_host
from tests.year.simulated_time import SimulatedTime
from trustedpods.protocol.units import Resources
from trustedpods.provider.acme.settings import AcmeSettings, TlsSection
from trustedpods.provider.config import GasSection, MetricsSection
from trustedpods.provider.core.disk import DiskSizes
from trustedpods.provider.facade.pools import Pools
from trustedpods.provider.keys.file import make_key, read_key
from trustedpods.provider.metrics import Metrics
from trustedpods.provider.setup.owner.transactions import naming_operator
from trustedpods.provider.store.spool import Spool

KEEP_DAYS = 7
CLAIM_INTERVAL_S = 12 * 3600
MIN_FREE_MIB = 256
RESERVE_MIB = 1
SPOOL_MIB = 4
FINALITY = 2
KEPT_TRANSACTIONS = 24


@dataclass
class ObservedChain(FakeChain):
    """Every item is shown to `observer`. While `lie` is set, it answers as things stood when that was set."""

    observer: UsageObserver = field(default_factory=UsageObserver)
    lie: object = None

    def begin_to_lie(self):
        """From now on no block comes, as far as this node tells; it hands transactions on."""
        self.lie = (self.now, self.number, copy.deepcopy(self.lives), copy.deepcopy(self.roots))

    async def head(self):
        found = await super().head()
        return found if self.lie is None else replace(found, time=self.lie[0], number=self.lie[1])

    async def channels(self, owner, ids):
        if self.lie is None:
            return await super().channels(owner, ids)
        found = [self.lie[2].get((owner, one)) for one in ids]
        return [life.channel if life and life.closed is None else None for life in found]

    async def submitted(self, owner, root):
        if self.lie is None:
            return await super().submitted(owner, root)
        return list(self.lie[3].get((owner, root), ()))

    def _settle(self, owner, item, tag):
        before = self.lives.get((owner, item.channel))
        result = super()._settle(owner, item, tag)
        if before is not None:
            self.observer.claimed(item, result, before.channel.terms.prices)
        return result

    def forget(self, owner, channel):
        """What a node keeps of a channel that ended long ago is no part of what is measured here."""
        return self.lives.pop((owner, channel))

    def forget_old(self, newest=KEPT_TRANSACTIONS):
        """Nor is what it keeps of transactions, but of the *newest* ones."""
        self.log.clear()
        for kept in (self.roots, self.fees):
            for one in list(kept)[: max(len(kept) - newest, 0)]:
                del kept[one]


class ObservedCluster(FakeCluster):
    """Replicas, objects and removals are shown to `observer`."""

    observer: UsageObserver

    def _put(self, life, pod, *, gone=False):
        self.observer.replica(pod)
        super()._put(life, pod, gone=gone)

    async def apply(self, objects):
        await super().apply(objects)
        for one in objects:
            if one["kind"] in ("Deployment", "StatefulSet"):
                namespace = one["metadata"]["namespace"]
                self.observer.applied(self.lives[namespace].label, namespace, self.clock)

    async def delete_namespace(self, namespace):
        if namespace in self.lives:
            self.observer.deleted(self.lives[namespace].label, namespace, self.clock)
        await super().delete_namespace(namespace)


@dataclass
class SimulatedWorld(World):
    """A provider's world on one clock. `directory` is an ACME authority's, `root` its certificate, `switch`
    what it knows of this world.
    """

    switch: Switch = field(default_factory=Switch)
    time: SimulatedTime = field(default_factory=SimulatedTime)
    observer: UsageObserver = field(default_factory=UsageObserver)
    directory: str = ""
    root: str = ""
    slots: int = 64
    gas: GasSection = field(default_factory=GasSection)
    host: object = None

    def __post_init__(self):
        self.chain = ObservedChain(observer=self.observer)
        self.cluster = ObservedCluster()
        self.cluster.observer = self.observer
        self.cluster.allocatable = Resources(64_000, 131_072, 1 << 20)
        self.facade = FakeFacade(Pools(*[self.slots] * 3))
        self.disk_sizes = DiskSizes.of_mib(RESERVE_MIB, MIN_FREE_MIB)
        self.spool_mib = SPOOL_MIB
        self.terms = {"claim_interval_s": CLAIM_INTERVAL_S, "start_limit_s": 60, "grace_s": 86_400}
        super().__post_init__()
        make_key(self.key_file, os.geteuid(), os.getegid())
        self.operator_key = read_key(self.key_file)
        self.chain.give(address_of(self.operator_key), 0)
        self.chain.operators.add((self.owner, address_of(self.operator_key)))
        naming_operator(self.chain.market, self.owner, self.owner)  # what the contracts offer is read once
        self.began = self.now
        self.time.moved = self._moved
        self.switch.show(self.now)

    @property
    def key_file(self):
        """Of the operator's key."""
        return self.tmp_path / "operator.key"

    def _moved(self, seconds):
        self.pass_time(self.began + seconds - self.now)
        self.switch.show(self.now)
        self.cluster.calls.clear()

    def _config(self):
        config = super()._config()
        acme = AcmeSettings(
            directory=self.directory,
            terms_agreed=True,
            challenge="http-01",
            trusted_root=self.root,
        )
        keys = {"keys_dir": str(self.tmp_path / "keys"), "operator_key_file": str(self.key_file)}
        parts = {
            "tls": TlsSection(acme=acme),
            "gas": self.gas,
            "metrics": MetricsSection(listen="127.0.0.1:0"),
            "identity": config.identity.model_copy(update=keys),
            "market": config.market.model_copy(update={"finality_blocks": FINALITY}),
            "facade": config.facade.model_copy(update={"tls_binds": ["127.0.0.1:443"], "wake_limit_s": 60}),
            "store": config.store.model_copy(
                update={"keep_days": KEEP_DAYS, "spool_quota_mib": SPOOL_MIB, "min_free_mib": MIN_FREE_MIB}
            ),
        }
        return config.model_copy(update=parts)

    def _doors(self, config, store):
        clock = lambda: self.now  # noqa: E731
        return replace(
            super()._doors(config, store),
            metrics=Metrics(clock),
            spool=Spool(self.tmp_path / "spool", self.spool_mib, clock=clock),
        )

    @asynccontextmanager
    async def _host(self, config):
        async with memory_host() as self.host:
            yield self.host
