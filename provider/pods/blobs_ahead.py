# SPDX-License-Identifier: Apache-2.0
"""Blobs of a version that comes later: whose are taken, and how many bytes, as nobody pays for them yet."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import trio

from trustedpods.protocol.errors import Refused
from trustedpods.protocol.limits import KIB, MIB
from trustedpods.protocol.messages.bundle import BlobRef
from trustedpods.protocol.sealing.blobs import sealed_size
from trustedpods.provider.core.pod import Phase, PodRecord
from trustedpods.provider.pods.bundles import Bundles
from trustedpods.provider.pods.records import Pods
from trustedpods.provider.store.spool import Spool

LEAST = 64 * KIB
"""What a blob counts for at least: a file costs the disk and every look at the spool, however short it is."""

RECOUNT_S = 60.0
"""Between two counts of all publishers, where the bound of all is reached: it opens every bundle."""


@dataclass(frozen=True, slots=True)
class AheadBounds:
    """Bytes of one publisher and of all together, and blobs of one publisher."""

    each: int
    all: int
    blobs: int = 512
    """A few images of the most layers that an image may have."""
    recount_s: float = RECOUNT_S

    @classmethod
    def of_spool(cls, quota: int) -> "AheadBounds":
        """A sixteenth for each, 4 GiB of the usual 64; a quarter for all: the rest is for who pays."""
        return cls(each=quota // 16, all=quota // 4)


class BlobsAhead:
    """Of publishers whose pod serves here, within *bounds*. They go an hour after their last byte.

    A blob counts whole from the first frame of its upload on, so chunks need no count of their own.
    """

    def __init__(self, pods: Pods, bundles: Bundles, spool: Spool, bounds: AheadBounds) -> None:
        self._pods = pods
        self._bundles = bundles
        self._spool = spool
        self._bounds = bounds
        self._taking: defaultdict[str, Counter[tuple[str, int]]] = defaultdict(Counter)
        self._charged: dict[str, int] = {}
        """By publisher, as it was counted last; its sum is kept beside it."""
        self._sum = 0
        self._counted_at: float | None = None

    def check(self, record: PodRecord) -> None:
        """Refused (rule `phase`) where nothing is taken for a later version of the pod."""
        if record.phase is not Phase.SERVING:
            raise Refused(
                f"the pod is {record.phase}: only one that serves takes images of its next version",
                rule="phase",
                hint="`trustedpods deploy` sends them with the version",
            )

    @contextmanager
    def taking(self, record: PodRecord, blob: BlobRef) -> Iterator[None]:
        """While *blob* comes; Refused (rules `phase`, `blobs-ahead`) where it is not taken."""
        self.check(record)
        publisher, key = record.ref.publisher.lower(), (blob.blob_id.hex(), sealed_size(blob.size))
        self._check_bounds(publisher, *key)
        self._taking[publisher][key] += 1
        self._count(publisher)
        try:
            yield
        finally:
            self._taking[publisher] -= Counter({key: 1})
            self._count(publisher)

    def _check_bounds(self, publisher: str, blob_id: str, size: int) -> None:
        charges = self._count(publisher)
        more = max(LEAST, size) - charges.pop(blob_id, 0)
        rest, bounds = sum(charges.values()), self._bounds
        if len(charges) >= bounds.blobs:
            raise _full(f"are {bounds.blobs} blobs of a publisher at most")
        if rest + max(LEAST, size) > bounds.each:
            raise _full(f"take {bounds.each // MIB} MiB of a publisher at most")
        if self._sum + more > bounds.all:
            self._count_all()
        if self._sum + more > bounds.all:
            raise _full(f"take {bounds.all // MIB} MiB of all publishers together at most")

    def _count(self, publisher: str) -> dict[str, int]:
        """What each of the publisher's blobs that no version has counts for, by its id."""
        if self._counted_at is None:
            self._count_all()
        charges = self._charges(publisher, self._needed(publisher).get(publisher, set()))
        self._keep(publisher, charges)
        return charges

    def _count_all(self) -> None:
        now = trio.current_time()
        if self._counted_at is not None and now < self._counted_at + self._bounds.recount_s:
            return
        self._counted_at = now
        needed = self._needed()
        waiting = {
            record.ref.publisher.lower()
            for record in self._pods.standing
            if not self._bundles.held(record)  # nobody knows which of its blobs it will need
        }
        for publisher in {*self._spool.publishers, *self._charged} - waiting:
            self._keep(publisher, self._charges(publisher, needed.get(publisher, set())))

    def _charges(self, publisher: str, needed: set[str]) -> dict[str, int]:
        found = self._spool.sizes(publisher)
        for blob_id, size in self._taking.get(publisher, ()):
            found[blob_id] = max(size, found.get(blob_id, 0))
        return {blob_id: max(LEAST, size) for blob_id, size in found.items() if blob_id not in needed}

    def _keep(self, publisher: str, charges: dict[str, int]) -> None:
        self._sum += sum(charges.values()) - self._charged.pop(publisher, 0)
        if charges:
            self._charged[publisher] = sum(charges.values())

    def _needed(self, of: str | None = None) -> dict[str, set[str]]:
        needed: defaultdict[str, set[str]] = defaultdict(set)
        for record in self._pods.standing:
            publisher = record.ref.publisher.lower()
            if of in (None, publisher) and self._bundles.held(record):
                ids = self._bundles.open(record).blobs.keys()
                needed[publisher] |= {blob_id.hex() for blob_id in ids}
        return needed


def _full(what: str) -> Refused:
    return Refused(
        f"images that no version has yet {what}",
        rule="blobs-ahead",
        hint="deploy the version that they are for; what no version needs goes within two hours",
    )
