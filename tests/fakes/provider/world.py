# SPDX-License-Identifier: Apache-2.0
"""The whole daemon over fakes of its doors; `provider_caller` is a publisher who talks to it.

Chain, cluster, facade, registry and the clock stand still until a test moves them; store, spool, keys,
network and every task of the daemon are real.
"""

import hashlib
import itertools
import secrets
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import trio

from tests.fakes.chain.chain import FakeChain
from tests.fakes.chain.state import address_of
from tests.fakes.cluster import FakeCluster
from tests.fakes.facade import FakeFacade
from tests.fakes.provider.broken_disk import BrokenDisk
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.net import open_host
from trustedpods.provider.admission.arrivals import AdmissionLimits
from trustedpods.provider.admission.gate import Gate
from trustedpods.provider.cluster.freezer.door import Freezer
from trustedpods.provider.cluster.pod_counters import PodCounters
from trustedpods.provider.config import (
    ExposureSection,
    NamesSection,
    ProviderConfig,
    WebhooksSection,
)
from trustedpods.provider.core.disk import NO_SIZES, DiskSizes
from trustedpods.provider.core.quotas.settings import EgressSection
from trustedpods.provider.daemon.assembly import assemble
from trustedpods.provider.daemon.main import run_parts
from trustedpods.provider.daemon.opened_books import opened_books
from trustedpods.provider.daemon.own_facade import NO_FACADE, OwnFacade
from trustedpods.provider.doors import Doors
from trustedpods.provider.exposure.ingress_classes import IngressSection
from trustedpods.provider.facade.pools import Pools
from trustedpods.provider.facade.readiness import ProbeResult
from trustedpods.provider.keys.boot import BootKeys
from trustedpods.provider.keys.generations import NewestGenerations
from trustedpods.provider.store import Vault, open_store
from trustedpods.provider.store.spool import Spool
from trustedpods.provider.tee import NoTee

MARKER = "MARKER-4711"
POOLS = Pools(256, 64, 32)
_numbers = itertools.count(1)
_empty_books = []


@dataclass
class FakeRegistry:
    """Blobs and manifests by repository and digest, checked as a registry checks them."""

    blobs: dict = field(default_factory=dict)
    manifests: dict = field(default_factory=dict)

    def pull_login(self, repo):
        return None

    def pull_reference(self, repo, digest):
        return f"127.0.0.1:5000/{repo}@{digest}"

    async def ping(self):
        pass

    async def has_blob(self, repo, digest):
        return (repo, digest) in self.blobs

    async def has_manifest(self, repo, digest):
        return (repo, digest) in self.manifests

    async def read_manifest(self, repo, digest, media_type):
        return self.manifests.get((repo, digest))

    async def blob_size(self, repo, digest):
        data = self.blobs.get((repo, digest))
        return None if data is None else len(data)

    async def read_blob(self, repo, digest, size):
        return self.blobs.get((repo, digest))

    async def read_stored(self, repo, digest, size, take):
        await take(self.blobs[repo, digest])

    async def push_blob(self, repo, digest, size, chunks):
        data = b"".join([chunk async for chunk in chunks])
        if len(data) != size or digest_of(data) != digest:
            raise Refused("not what its digest says", rule="digest")
        self.blobs[repo, digest] = data

    async def push_manifest(self, repo, media_type, data):
        digest = digest_of(data)
        self.manifests[repo, digest] = data
        return digest

    async def clear(self, repo):
        for held in (self.blobs, self.manifests):
            for key in [key for key in held if key[0] == repo]:
                del held[key]


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def config_of(tmp_path, chain, owner, **terms):
    """A configuration whose every path lies in *tmp_path*."""
    market = chain.market
    return ProviderConfig.model_validate(
        {
            "market": {
                "rpc": "http://fake",
                "chain_id": market.chain_id,
                "payments": market.payments,
                "registry": market.registry,
                "token": market.token,
            },
            "identity": {
                "owner": owner,
                "daemon": 1,
                "operator_key_file": "/nowhere",
                "keys_dir": "/nowhere",
                "tee": "none",
                "trust": "open",
                "domain": "k1.test.localhost",
            },
            "net": {"listen": ["/ip4/127.0.0.1/tcp/0"]},
            "cluster": {
                "kubeconfig": "/nowhere",
                "node_labels": ["zone"],
                "storage_classes": {"growing": ["ReadWriteOnce"], "local-path": ["ReadWriteOnce"]},
            },
            "facade": {
                "runtime_socket": "/nowhere",
                "activator_dir": "/nowhere",
                "wake_socket": str(tmp_path / "wake.sock"),
                "map_file": "/nowhere",
                "wake_limit_s": 5,
                "tcp_binds": ["127.0.0.1:20000"],
            },
            "prices": {
                "cpu_core_ms": 1000,
                "memory_mib_s": 100,
                "storage_mib_s": 10,
                "egress_kib": 5,
                "ingress_kib": 5,
                "scale": 70,
            },
            "terms": {"unlock_s": 60, "grace_s": 60, "claim_interval_s": 1000, "start_limit_s": 5, **terms},
            "store": {"path": str(tmp_path / "books" / "store.db"), "spool": str(tmp_path / "spool")},
        }
    )


async def put_empty_books(path):
    """Where there are none. Migrations make the same each time: a process's first books go through them."""
    if path.exists():
        return
    if not _empty_books:
        async with open_store(path, Vault(bytes(32))):
            pass
        _empty_books.append(path.read_bytes())
        return
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.touch(0o600)
    path.write_bytes(_empty_books[0])


@dataclass
class FakeTraffic:
    """A network policy agent: packets that it refused of each replica, by uid."""

    refused: dict = field(default_factory=dict)

    async def counters(self):
        """Of each replica that is in `refused`, whatever it sent."""
        await trio.lowlevel.checkpoint()
        return [PodCounters(uid, namespace, "main", 0, 0, n) for uid, (namespace, n) in self.refused.items()]


NO_MARKS = {"reserve_mib": 0, "min_free_mib": 0}


@dataclass
class World:
    """Everything outside the daemon. It survives `run`, so that a daemon can be killed and restarted."""

    tmp_path: object
    keys: BootKeys = field(default_factory=BootKeys.generate)
    owner_key: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    chain: FakeChain = field(default_factory=FakeChain)
    cluster: FakeCluster = field(default_factory=FakeCluster)
    facade: FakeFacade = field(default_factory=lambda: FakeFacade(POOLS))
    registry: FakeRegistry = field(default_factory=FakeRegistry)
    terms: dict = field(default_factory=dict)
    webhooks: dict = field(default_factory=dict)
    exposure: dict = field(default_factory=dict)
    ingress: dict = field(default_factory=dict)
    names: dict | None = None
    smtp: bool = False
    user_namespaces: bool = False
    asked_from_outside: bool = False
    """Whether the operator's verbs are answered at the daemon's port."""
    now: float = field(default_factory=lambda: float(int(time.time())))
    ready: bool = True
    trust: str = "open"
    spool_mib: int = 64
    limits: AdmissionLimits = field(default_factory=AdmissionLimits)
    collector: object = field(default_factory=NoTee)
    disk: BrokenDisk = field(default_factory=BrokenDisk)
    disk_sizes: DiskSizes = NO_SIZES
    database: str | None = None
    """URL of the books that other daemons have too; without it they are a file."""
    freezer: Freezer = field(default_factory=Freezer)
    traffic: FakeTraffic = field(default_factory=FakeTraffic)
    egress: dict = field(default_factory=dict)
    own_facade: bool = False
    """Whether no other daemon shares the facade: then it rests while another one leads."""

    def __post_init__(self):
        self.operator_key = secrets.token_bytes(32)
        self.chain.give(address_of(self.operator_key), 0)
        self.pass_time(0)

    @property
    def owner(self):
        return address_of(self.owner_key)

    def pass_time(self, seconds):
        """The clock of chain, cluster and daemon goes on."""
        self.now += seconds
        self.chain.now = int(self.now)
        self.chain.number += 1
        self.cluster.clock = int(self.now)

    def tmpfs(self):
        """What survives a killed daemon and not a reboot."""
        folder = self.tmp_path / f"tmpfs-{self.keys.boot_id.hex()[:8]}"
        folder.mkdir(exist_ok=True)
        return folder

    async def _until_ready(self, _ip, _probes, _limit, _tally):
        await trio.lowlevel.checkpoint()
        return ProbeResult(self.ready, "" if self.ready else "GET / on port 8080: status 500")

    def _config(self):
        config = config_of(self.tmp_path, self.chain, self.owner, **self.terms)
        pools = self.facade.pools
        slots = {"slots": pools.http, "h2_slots": pools.h2, "tcp_slots": pools.tcp}
        parts = {
            "cluster": config.cluster.model_copy(update={"user_namespaces": self.user_namespaces}),
            "webhooks": WebhooksSection(**self.webhooks),
            "exposure": ExposureSection(**self.exposure),
            "egress": EgressSection(smtp=self.smtp, **self.egress),
            "net": config.net.model_copy(update={"operator": self.asked_from_outside}),
            "ingress": IngressSection(**self.ingress),
            "names": None if self.names is None else NamesSection(**self.names),
            "identity": config.identity.model_copy(update={"trust": self.trust}),
            "facade": config.facade.model_copy(update=slots),
            "store": config.store.model_copy(update={"database": self.database, **NO_MARKS}),
        }
        return config.model_copy(update=parts)

    @asynccontextmanager
    async def run(self):
        """The daemon; leaving is as good as a kill, as nothing is said to it."""
        config = self._config()
        books = self.tmp_path / "books" / "store.db"
        if self.database is None:
            await put_empty_books(books)
            opening = open_store(books, Vault(self.keys.hpke.to_bytes()), self.disk_sizes)
        else:
            own = OwnFacade(self.facade.rest) if self.own_facade else NO_FACADE
            opening = opened_books(config, self.keys, self.cluster, own)
        async with opening as store:
            self.disk.put_under(store)
            parts = assemble(self._doors(config, store), await Gate.open(store), self.limits)
            await parts.pods.load()
            async with self._host(config) as host, trio.open_nursery() as nursery:
                await nursery.start(run_parts, parts, host)
                yield parts, host.addresses[0]
                nursery.cancel_scope.cancel()

    def _doors(self, config, store):
        return Doors(
            config=config,
            keys=self.keys,
            operator_key=self.operator_key,
            collector=self.collector,
            store=store,
            spool=Spool(self.tmp_path / "spool", self.spool_mib),
            chain=self.chain,
            cluster=self.cluster,
            registry=self.registry,
            facade=self.facade,
            until_ready=self._until_ready,
            clock=lambda: self.now,
            generations=NewestGenerations(self.tmpfs()),
            freezer=self.freezer,
            traffic=self.traffic,
        )

    def _host(self, config):
        return open_host(self.keys.libp2p_seed, config.net.listen)
