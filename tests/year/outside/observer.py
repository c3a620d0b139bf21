# SPDX-License-Identifier: Apache-2.0
"""Counts what pods used from what the fakes did, by docs/metering.md and none of the daemon's code.

Each item of each claim is compared with it to the unit as it reaches the chain.
"""

import operator
from collections import defaultdict
from dataclasses import dataclass, field

from trustedpods.contracts.terms import due
from trustedpods.protocol.units import Usage

KIB = 1024


@dataclass
class Stay:
    """Something that is paid for by the second, from `began` to `ended` (None: it is still there)."""

    began: int
    ended: int | None
    cpu_milli: int
    memory_mib: int
    storage_mib: int

    def seconds(self, from_, up_to):
        return max(0, min(up_to, up_to if self.ended is None else self.ended) - max(from_, self.began))


@dataclass
class Life:
    """One pod: what there was of it, what passed, what the chain was asked to pay, and what it paid."""

    image_mib: int
    stays: dict = field(default_factory=dict)
    stored: Stay | None = None
    kept: list = field(default_factory=list)
    namespaces: set = field(default_factory=set)
    egress: int = 0
    ingress: int = 0
    claimed: list = field(default_factory=list)
    paid: int = 0
    released: bool = False

    def used(self, from_, up_to):
        """Core-milliseconds, MiB-seconds of memory and of storage."""
        stays = [*self.stays.values(), *self.kept, *([self.stored] if self.stored else [])]
        lasted = [(one, one.seconds(from_, up_to)) for one in stays]
        return tuple(
            sum(getattr(one, part) * seconds for one, seconds in lasted)
            for part in ("cpu_milli", "memory_mib", "storage_mib")
        )


@dataclass
class UsageObserver:
    """All pods by channel. `differences` is what no claim may show."""

    lives: dict = field(default_factory=dict)
    labels: dict = field(default_factory=dict)
    differences: list = field(default_factory=list)
    lost_before: int = 0
    """Books were set back then: of an earlier period less may be claimed than was used, and never more."""
    items: int = 0
    paid: int = 0
    flags: dict = field(default_factory=lambda: defaultdict(int))

    def begins(self, channel, label, image_mib):
        self.labels[label] = channel
        self.lives[channel] = Life(image_mib)

    def _of(self, label):
        return self.lives.get(self.labels.get(label))

    def replica(self, view):
        """The cluster shows a replica."""
        life = self._of(view.label)
        if life is None or view.started_at is None or not (view.begun or view.over):
            return
        sizes = (view.cpu_milli, view.memory_mib, view.scratch_mib)
        stay = life.stays.setdefault(view.uid, Stay(view.started_at, None, *sizes))
        if stay.ended is None and view.over:
            stay.ended = view.finished_at

    def applied(self, label, namespace, at):
        """Its objects are in the cluster: the image is kept for it from now on."""
        life = self._of(label)
        if life is not None:
            life.namespaces.add(namespace)
        if life is not None and (life.stored is None or life.stored.ended is not None):
            self._put_away(life)
            life.stored = Stay(at, None, 0, 0, life.image_mib)

    def deleted(self, label, namespace, at):
        """With its last namespace nothing is kept for it any more."""
        life = self._of(label)
        if life is None or life.stored is None:
            return
        life.namespaces.discard(namespace)
        if not life.namespaces and life.stored.ended is None:
            life.stored.ended = at

    def rebooted(self, at):
        """Nobody counts what ran until now any more: only what a publisher releases again."""
        for life in self.lives.values():
            for stay in life.stays.values():
                stay.ended = at if stay.ended is None else min(stay.ended, at)
            if life.stored is not None and life.stored.ended is None:
                life.stored.ended = at

    def _put_away(self, life):
        if life.stored is not None:
            life.kept.append(life.stored)

    def passed(self, channel, ingress, egress):
        life = self.lives[channel]
        life.ingress += ingress
        life.egress += egress

    def claimed(self, item, result, prices):
        """An item reached the chain, and was answered."""
        life = self.lives[item.channel]
        self.flags[str(result.flags)] += 1
        if result.flags.skipped:
            return
        expected = life.used(item.from_, item.up_to)
        found = item.usage.quantities[:3]
        lost = item.from_ < self.lost_before and all(map(operator.le, found, expected))
        if expected != found and not lost:
            self.differences.append((hex(item.channel), item.from_, item.up_to, expected, found))
        begins = life.claimed[-1][1] if life.claimed else item.from_
        if item.from_ < begins:
            self.differences.append((hex(item.channel), "billed twice", item.from_, begins))
        whole = due(Usage(*found, *item.usage.quantities[3:]), prices)
        if result.paid > whole:
            self.differences.append((hex(item.channel), "paid more", result.paid, whole))
        life.claimed.append((item.from_, item.up_to, item.usage))
        life.paid += result.paid
        life.released |= item.release
        self.items += 1
        self.paid += result.paid

    def closed(self, channel):
        """The pod is gone: its bytes were claimed whole, but for those that set back books forgot."""
        life = self.lives.pop(channel)
        self.labels = {label: one for label, one in self.labels.items() if one != channel}
        for place, total in ((3, life.egress), (4, life.ingress)):
            told = sum(usage.quantities[place] for _, _, usage in life.claimed)
            if life.released and told != total // KIB and not (self.lost_before and told < total // KIB):
                self.differences.append((hex(channel), "bytes", place, told, total // KIB))
        return life
