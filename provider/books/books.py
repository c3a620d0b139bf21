# SPDX-License-Identifier: Apache-2.0
"""Brings a newer address book to a pod that runs: what it changes is applied, and nothing else.

The book is kept in the pod's namespace, so a daemon that starts anew, or starts the pod anew, goes on with
it while no client is there. Replicas restart only where the template changed, by the workload's own pace:
one after another. Files that are to be reloaded are replaced, their nodes told to look at once, and the pod's
hook is run once they are there (`reloading.py`). What is decided and written is so in the pod's turn; hooks
are waited for outside of it, so nothing else that is done to the pod waits for them.
"""

from collections import Counter
from dataclasses import replace
from weakref import WeakValueDictionary

import trio

from trustedpods.protocol.errors import Refused
from trustedpods.protocol.ids import Address
from trustedpods.protocol.networks.book import NetworkBook
from trustedpods.provider.books.reloading import ReloadHook, hook_of, reload_all
from trustedpods.provider.cluster.objects.network_nodes import ways
from trustedpods.provider.cluster.objects.network_nodes.rendered_files import RENDERED_NOTE, digest_of
from trustedpods.provider.cluster.objects.pod_objects import PodLife, kept_objects, objects, with_book
from trustedpods.provider.core.networks.book import adds_to, as_it_counts, check_book, newer
from trustedpods.provider.core.pod import Phase, PodRecord
from trustedpods.provider.doors import Doors
from trustedpods.provider.lifecycle.additions import certificates_due, kept_book, reload_due
from trustedpods.provider.lifecycle.provisioning import ProvisioningSteps
from trustedpods.provider.pods.bundles import Bundles, OpenBundle
from trustedpods.provider.pods.records import Pods

AT_ONCE = 8
"""Pods that are changed at the same time, each of another publisher: what one change costs the cluster's
API is some dozens of calls."""

MAX_WAITING = 64
"""Books of one publisher's pods at once, of which one is applied while the others wait: a change reaches all
nodes that call one, and they are not all to restart together."""


class Books:
    """Takes them: a publisher's one pod after another, and those of several publishers side by side."""

    def __init__(
        self,
        doors: Doors,
        pods: Pods,
        bundles: Bundles,
        steps: ProvisioningSteps,
        most_waiting: int = MAX_WAITING,
    ) -> None:
        self._most_waiting = most_waiting
        self._doors = doors
        self._pods = pods
        self._bundles = bundles
        self._steps = steps
        self._places = trio.CapacityLimiter(AT_ONCE)
        self._waiting: Counter[Address] = Counter()
        self._applying: WeakValueDictionary[Address, trio.Lock] = WeakValueDictionary()
        self._reloading: dict[Address, trio.Lock] = {}
        """By publisher: one node of a network at a time, whatever another publisher's takes."""

    async def take(self, record: PodRecord, book: NetworkBook) -> bool:
        """Let *book* be the pod's; False where it has that one already.

        Refused (rules `phase`, `stale-book`, `other-book`, `epoch`, `closed-node`, `rate`), BadInput where
        it is not of the nodes that the pod calls, or its files refer to what it does not have: nothing is
        changed then. Refused (rule `reload`) where all is changed, and a hook failed.
        """
        _check_serves(record)
        opened, offer = self._bundles.open(record), self._doors.offer
        network = opened.manifest.spec.network
        check_book(book, network, offer.egress_closed, offer.peers, self._doors.now())
        publisher = record.ref.publisher
        if self._waiting[publisher] >= self._most_waiting:
            raise Refused(
                f"{self._most_waiting} books of this publisher are on their way already",
                rule="rate",
                hint="ask again in a moment",
            )
        self._waiting[publisher] += 1
        try:
            return await self._take(record, opened, book)
        finally:
            self._waiting -= Counter({publisher: 1})

    async def renew(self, record: PodRecord) -> bool:
        """Renew certificates of the pod that are due, with the book that it has; False where none is.

        Raises as `take`. What a kill or a hook that failed left undone is done again.
        """
        _check_serves(record)
        return await self._take(record, self._bundles.open(record), None)

    async def _take(self, record: PodRecord, opened: OpenBundle, book: NetworkBook | None) -> bool:
        """Apply the pod with *book*, or with the one that it has."""
        publisher = record.ref.publisher
        async with (
            self._steps.turns.of(record.channel),
            self._applying.setdefault(publisher, trio.Lock()),
            self._places,
        ):
            applied = await self._applied(record, opened, book)
        if applied is None:
            return False
        life, hook = applied
        if hook is not None:
            async with self._reloading.setdefault(publisher, trio.Lock()):
                await self._reload(record, life, hook)
        return True

    async def _reload(self, asked: PodRecord, life: PodLife, hook: ReloadHook) -> None:
        """Run the hook of *life* and note that it was run, where that is due by then and after.

        A newer book, or another run of this one, has its own. Refused (rule `reload`) where it failed, (rule
        `phase`) where the pod was changed, stopped or removed meanwhile.
        """
        async with self._steps.turns.of(asked.channel):
            if not await self._is_due(asked, life):
                return
        try:
            await reload_all(self._doors.cluster, life.namespace, hook)
        except Refused:
            async with self._steps.turns.of(asked.channel):
                if not await self._is_due(asked, life):
                    return  # what it waited for is not the pod's any more
            raise
        async with self._steps.turns.of(asked.channel):
            if await self._is_due(asked, life):
                await self._doors.cluster.apply(kept_objects(life))

    async def _is_due(self, asked: PodRecord, life: PodLife) -> bool:
        """Whether the pod still is as it was *asked*, and its replicas are to take the book of *life*."""
        record = self._same_pod(asked)
        kept = await kept_book(self._doors, record, record.namespace)
        return kept == life.book and await reload_due(self._doors, record.namespace)

    def _same_pod(self, asked: PodRecord) -> PodRecord:
        """Its record now. Refused (rule `phase`) where it does not serve, or was changed since *asked*."""
        record = self._pods.get(asked.channel)
        if record is None:
            raise Refused("the pod was removed meanwhile", rule="phase")
        _check_serves(record)
        if (record.request, record.namespace) != (asked.request, asked.namespace):
            raise Refused("the pod was changed meanwhile", rule="phase", hint="ask again")
        return record

    async def _applied(
        self, asked: PodRecord, opened: OpenBundle, book: NetworkBook | None
    ) -> tuple[PodLife, ReloadHook | None] | None:
        """Apply the pod with *book*; None where it has that book, no reload and no certificate is due.

        With it the hook by which its replicas take their files, where that is due: so it is kept beside the
        book until it was done.
        """
        record, now = self._same_pod(asked), self._doors.now()
        kept = await kept_book(self._doors, record, record.namespace)
        before = newer(kept, as_it_counts(opened.bundle.book, now))
        if book is not None:
            _check_follows(before, book)
        due = await reload_due(self._doors, record.namespace)
        renewed = await certificates_due(self._doors, record, opened.manifest)
        if book in (None, before) and not due and not renewed:
            return None
        life = await self._steps.complete(record, opened, record.namespace, book or before)
        hook = hook_of(with_book(life)) if due or renewed or _reloads(life, before) else None
        if renewed:  # noted first: once the Secret has it, nothing else would say that replicas have not
            await self._doors.cluster.apply(kept_objects(replace(life, book=before), reload_due=True))
        if before is not None and book is not None and (gone := ways.gone(before, book)):
            await self._doors.cluster.discard(record.namespace, gone)  # first: they take of the quota
        made, last = objects(life), kept_objects(life, reload_due=hook is not None)
        # All of it, so that no object is forgotten: what is equal stays as it is.
        await self._doors.cluster.apply([*made[: len(made) - len(last)], *last])
        reloaded = digest_of(life.manifest, with_book(life).secrets, "reload")
        if reloaded is not None:
            await self._look_again(life.namespace, reloaded)
        return life, hook

    async def _look_again(self, namespace: str, digest: str) -> None:
        for replica in await self._doors.cluster.pods(namespace):
            if not replica.over:
                await self._doors.cluster.note_replica(namespace, replica.name, RENDERED_NOTE, digest)


def _reloads(life: PodLife, before: NetworkBook | None) -> bool:
    """Whether files that replicas take anew are others than with the book *before*."""
    new, old = (with_book(one).secrets for one in (life, replace(life, book=before)))
    return digest_of(life.manifest, new, "reload") != digest_of(life.manifest, old, "reload")


def _check_serves(record: PodRecord) -> None:
    if record.phase is not Phase.SERVING:
        raise Refused(f"the pod is {record.phase}, and takes no book now", rule="phase", hint="ask again")


def _check_follows(before: NetworkBook | None, book: NetworkBook) -> None:
    if before is None:
        raise Refused("the pod calls no other nodes", rule="stale-book")
    if (before.network, before.node) != (book.network, book.node):
        raise Refused(
            f"the pod is node {before.node} of {before.network}, not {book.node} of {book.network}",
            rule="stale-book",
        )
    if book.age < before.age:
        told = f"the pod has the book of generation {before.generation}, this is of {book.generation}"
        epochs = "" if book.epoch == before.epoch else f" of an earlier epoch ({book.epoch} < {before.epoch})"
        raise Refused(
            told + epochs,
            rule="stale-book",
            hint="read the network's state again: somebody else changed it",
        )
    if book.age == before.age and not adds_to(before, book):
        raise Refused(
            f"the pod has another book of generation {before.generation} already",
            rule="other-book",
            hint="a book of a later generation of the network's state is taken",
        )
