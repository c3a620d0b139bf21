# SPDX-License-Identifier: Apache-2.0
"""A provider with very many deployed pods that all sleep, made at once, and counts of what is asked of it.

Each pod is what a deploy leaves behind: a bundle that this boot's key opens, a record, a held size and
a mark in the real store, a channel on the chain, and its objects in the cluster. Only the conversation
that would bring it is left out: it takes a tenth of a second for each.
"""

from collections import Counter
from dataclasses import dataclass, field, replace

import trio
from sqlalchemy import event

from tests.fakes.facade import FakeFacade
from tests.fakes.provider.caller import Caller
from tests.fakes.provider.records import pod_record
from tests.fakes.provider.world import World, digest_of
from trustedpods.protocol.codec import encode
from trustedpods.protocol.ids import namespace_name
from trustedpods.provider.cluster.objects.pod_objects import PodLife, objects
from trustedpods.provider.core.pod import ChannelFact, Phase, PodSize, Scaling, ServiceExposure
from trustedpods.provider.facade.pools import Pools
from trustedpods.provider.store import Vault, ledger, open_store, pods

DEPOSIT = 10**12
"""Lasts for ever at the prices of `provider_world`: no pod is stopped while it is watched."""

SLEEPS_SINCE_S = 600
GENERATION = 1


class Counted:
    """A door whose calls are counted by name; everything else is the door's own."""

    def __init__(self, door, name, counts):
        vars(self).update(_door=door, _name=name, _counts=counts)

    def __getattr__(self, name):
        found = getattr(self._door, name)
        if not callable(found):
            return found

        def call(*args, **kwargs):
            self._counts[f"{self._name}.{name}"] += 1
            return found(*args, **kwargs)

        return call

    def __setattr__(self, name, value):
        setattr(self._door, name, value)


@dataclass
class FullWorld(World):
    """A world with *pods* sleeping pods; `counts` are the calls of each door, and statements of the store."""

    pods: int = 1000
    counts: Counter = field(default_factory=Counter)

    def __post_init__(self):
        self.facade = FakeFacade(Pools(*[self.pods + 8] * 3))
        super().__post_init__()
        for name in ("chain", "cluster", "facade"):
            setattr(self, name, Counted(getattr(self, name), name, self.counts))

    async def fill(self):
        """Put the pods where a deploy would have put them."""
        records = [await self._deployed(number) for number in range(self.pods)]
        vault = Vault(self.keys.hpke.to_bytes())
        async with open_store(self.tmp_path / "books" / "store.db", vault) as store:
            await store.write(_save, records, int(self.now) - SLEEPS_SINCE_S)
        self.counts.clear()

    async def _deployed(self, number):
        caller = Caller(self, "nowhere")
        _, request = caller.signed("provision", caller.bundle(), generation=GENERATION)
        await caller.pay(DEPOSIT)
        channel = await self.chain.channel(self.owner, caller.ref.channel)
        record = pod_record(
            ref=caller.ref,
            commanders=(caller.ref.publisher,),
            generation=GENERATION,
            boot_id=self.keys.boot_id,
            request=encode(request),
            namespace=namespace_name(caller.ref.channel, GENERATION),
            phase=Phase.SERVING,
            live=True,
            size=PodSize(100, 64, 0, 1, 256),
            scaling=Scaling(0, 2, 5, 50),
            meter=self.keys.meter_address,
            terms=channel.terms.pack(),
            chain=ChannelFact.of(channel),
            statement=b"what was signed",
            changed_at=int(self.now) - SLEEPS_SINCE_S,
        )
        images = {"web": f"127.0.0.1:5000/pods/{record.label}@{digest_of(caller.blobs[0])}"}
        secrets = {"keys": {"token": b"secret"}}
        life = PodLife(record.namespace, record.label, caller.manifest, secrets, images)
        await self.cluster.apply(objects(life))
        (web,) = await self.cluster.services(record.namespace)
        return replace(record, exposures={"web": ServiceExposure("http", cluster_ip=web.cluster_ip)})


def _save(tx, records, since):
    for record in records:
        pods.save(tx, record)
        ledger.hold(tx, record.channel, {"image": record.size.image_mib, "floor": 7}, since)


def count_statements(store, counts):
    """Count the store's statements and transactions too."""

    @event.listens_for(store._engine, "before_cursor_execute")
    def statement(_connection, _cursor, text, *_):
        counts["store." + " ".join(text.split()[:1])] += 1

    @event.listens_for(store._engine, "commit")
    def commit(_connection):
        counts["store.commit"] += 1


def in_step(parts, count):
    """Whether the daemon serves every pod and knows what its money is worth."""
    standing = parts.pods.standing
    return len(standing) == count and all(
        parts.autoscaler.pod_scaler(record.channel) is not None
        and parts.reconciler.money(record.channel) is not None
        for record in standing
    )


async def let_pass(world, seconds):
    """So many seconds on every clock: the world's goes on with trio's, a second at a time."""
    for _ in range(seconds):
        await trio.sleep(1)
        world.pass_time(1)
