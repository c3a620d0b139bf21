# SPDX-License-Identifier: Apache-2.0
"""All replicas that are frozen: asked for again and again, thawed, and noted in the ledger.

A node's agent thaws what nobody asks for: so a daemon that dies leaves nothing frozen, and the next one takes
what the ledger holds as frozen for that until it has thawed it, or a lease has lapsed.
"""

import logging
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

import trio

from trustedpods.protocol.errors import NetworkFailure, TrustedPodsError
from trustedpods.protocol.ids import ChannelId
from trustedpods.provider.cluster.freezer.door import LEASE_S, FreezerAnswer
from trustedpods.provider.cluster.views import PodView
from trustedpods.provider.core.scaler.freezing import pressed, to_go
from trustedpods.provider.doors import Doors
from trustedpods.provider.serving.warm.freeze_book import LAPSE_S, FreezeBook
from trustedpods.provider.serving.warm.lent_cpu import LentCpu
from trustedpods.provider.supervise import supervise

_log = logging.getLogger(__name__)

RENEW_S = LEASE_S / 4
"""Between two renewals of all leases: three may fail before a pod is thawed."""

THAWS_AT_ONCE = 16
"""Pods thawed side by side: an agent does one after another, and must answer the last in time."""


@dataclass(eq=False, slots=True)
class Sleeper:
    """One pod's frozen replicas by uid, since when by trio's clock, and whom to tell when one is let go.

    `renewed`: when their nodes last kept all of them frozen. `restores`: their nodes give them all CPU back.
    """

    channel: ChannelId
    uids: frozenset[str]
    since: float
    renewed: float
    let_go: Callable[[], None]
    restores: bool = False


class WarmSleepers:
    """By namespace. `freeze` and `thaw` of one pod come one after another, as its scaler's commands do.

    Of all replicas, as *views* shows them, those that are frozen lend their CPU.
    """

    def __init__(self, doors: Doors, views: Callable[[], Iterable[PodView]] = tuple) -> None:
        self._doors = doors
        self._sleepers: dict[str, Sleeper] = {}
        self._leaving: dict[str, tuple[frozenset[str], float]] = {}
        """Those that may be frozen though nobody asks for them any more, and since when."""
        self._asking = trio.Lock()
        self._thaws = trio.CapacityLimiter(THAWS_AT_ONCE)
        self._book = FreezeBook(doors)
        self._began = trio.current_time()
        self._cpu = LentCpu(doors, views, self.frozen_s)

    @property
    def possible(self) -> bool:
        """Whether replicas can be frozen here at all."""
        return self._doors.freezer.there

    def begin(self, nursery: trio.Nursery) -> None:
        """Renew leases from now on; where no node can freeze any more, end what the books hold as frozen.

        CPU that an earlier daemon lent is reclaimed in any case.
        """
        self._cpu.begin(nursery)
        if self.possible:
            nursery.start_soon(supervise, "keeping pods frozen", self._keep)
            nursery.start_soon(supervise, "looking for frozen pods", self._see_all)
        else:
            nursery.start_soon(self._end_old)

    async def freeze(
        self, namespace: str, channel: ChannelId, uids: Collection[str], let_go: Callable[[], None]
    ) -> bool:
        """Freeze replicas; False where not all are. Then, and when it raises, some may be: `thaw` is next."""
        if not uids:
            return False
        asked = self._leaving[namespace] = frozenset(uids), trio.current_time()
        sizes = await self._doors.freezer.size(uids)
        if set(sizes) != set(uids):
            return False  # a node does not have one yet, or any more
        # Before it is done: a daemon that is killed in between leaves nothing frozen that costs CPU.
        await self._book.begin(channel, {uid: view.memory_mib for uid, view in sizes.items()})
        async with self._asking:
            if self._leaving.get(namespace) is not asked:
                return False  # whoever asked is gone
            # The wait may have been long: what is asked for now may be frozen for a whole lease from now on.
            asked = self._leaving[namespace] = asked[0], trio.current_time()
            try:
                answers = await self._doors.freezer.freeze(uids)
            except NetworkFailure:  # the agent may have done it, or be about to
                self._leaving[namespace] = asked[0], trio.current_time()
                raise
        found = {uid: view for one in answers for uid, view in one.replicas.items() if view.frozen}
        if set(found) != set(uids) or self._leaving.get(namespace) is not asked:
            return False  # or whoever asked is gone
        since = trio.current_time()
        restores = all(view.restores for view in found.values())
        self._sleepers[namespace] = Sleeper(channel, asked[0], since, since, let_go, restores)
        del self._leaving[namespace]
        held = {uid: view.memory_mib for uid, view in found.items()}
        await self._book.measure({uid: mib for uid, mib in held.items() if mib != sizes[uid].memory_mib})
        return True

    def frozen_s(self) -> dict[str, tuple[float, bool]]:
        """For how many seconds each replica has been frozen, by uid, and if its node restores its CPU."""
        now = trio.current_time()
        return {uid: (now - one.since, one.restores) for one in self._sleepers.values() for uid in one.uids}

    async def thaw(self, namespace: str) -> None:
        """When this returns no replica in *namespace* is frozen; NetworkFailure where one may be.

        Nobody asks for it again from now on. So where its node's agent does not answer for longer than a
        lease, it is taken as thawed: an agent that lives let it go, and one that comes back thaws all first.
        """
        known = self._sleepers.get(namespace)
        listed = frozenset[str]() if known is None else known.uids
        if known is None and namespace not in self._leaving:
            listed = frozenset(view.uid for view in await self._doors.cluster.pods(namespace))
        async with self._asking:  # a renewal under way may freeze it; those that follow do not ask for it
            if known is not None and self._sleepers.pop(namespace, None) is known:
                self._leaving[namespace] = known.uids, trio.current_time()
            uids, since = self._leaving.get(namespace, (listed, self._began))
        async with self._thaws:
            try:
                if uids:
                    await self._doors.freezer.thaw(uids)
            except NetworkFailure as error:
                if trio.current_time() - since < LAPSE_S:
                    raise
                _log.warning(
                    "%s: taken as thawed, without a cost of CPU until that is seen: %s", namespace, error
                )
                self._book.unseen |= uids
            else:
                await self._book.thawed(uids)
            self._leaving.pop(namespace, None)
        self._cpu.look_soon()

    async def note_ends(self) -> None:
        """Write down that what is not frozen any more is not; called after a thaw, and now and then."""
        await self._book.end_all_but(self._may_be_frozen)

    def _may_be_frozen(self) -> frozenset[str]:
        held = [one.uids for one in self._sleepers.values()] + [uids for uids, _ in self._leaving.values()]
        return frozenset[str]().union(*held)

    def forget(self, namespace: str) -> None:
        """Whoever asked for it is gone: nobody renews it, so its node's agent thaws it, or `thaw` does."""
        known = self._sleepers.pop(namespace, None)
        uids = self._leaving.get(namespace, (frozenset[str](), 0.0))[0] if known is None else known.uids
        if uids:
            self._leaving[namespace] = uids, trio.current_time()

    async def _keep(self) -> None:
        while True:
            try:
                self._forget_lapsed()
                await self.note_ends()
                await self.renew()
            except TrustedPodsError as error:
                _log.warning("frozen pods: %s", error)
            await trio.sleep(RENEW_S)

    def _forget_lapsed(self) -> None:
        """What nobody thaws any more, as its pod is gone, was thawed by its node's agent."""
        lapsed = trio.current_time() - LAPSE_S
        for namespace, (uids, since) in list(self._leaving.items()):
            if since <= lapsed:
                self._book.unseen |= uids
                del self._leaving[namespace]

    async def _see_all(self) -> None:
        """Beside the renewals: an agent that hangs must not hold up those of other nodes."""
        while True:
            try:
                await self._see()
            except TrustedPodsError as error:
                _log.warning("pods that may be frozen still: %s", error)
            await trio.sleep(RENEW_S)

    async def _see(self) -> None:
        """Forget what is seen to run, as an agent tells of it, and what the cluster says is there no more."""
        unseen = self._book.unseen
        if unseen:
            told = await self._doors.freezer.known(unseen)
            unseen.difference_update(uid for uid, view in told.items() if not view.frozen)
        if asked := set(unseen):
            there = {view.uid for view in await self._doors.cluster.pods() if not view.over}
            unseen.difference_update(asked - there)

    async def _end_old(self) -> None:
        await trio.sleep(LAPSE_S)  # so long an agent keeps frozen what the daemon before had it freeze
        while True:
            try:
                await self.note_ends()
                self._book.unseen.clear()  # there is nobody to tell of it
                return await self.note_ends()
            except TrustedPodsError as error:
                _log.warning("what is held as frozen costs no CPU until this is written: %s", error)
            await trio.sleep(RENEW_S)

    async def renew(self) -> None:
        """Ask for all once more, and let go those that a node let go, or has no memory for.

        So are those of a node that is away for longer than a lease; it holds up nothing of the others.
        """
        async with self._asking:  # a thaw meanwhile would be undone
            asked = dict(self._sleepers)
            uids = {uid for one in asked.values() for uid in one.uids}
            if not uids:
                return
            answers, away = await self._doors.freezer.keep(uids)
        for error in away:
            _log.warning("frozen pods: %s; they are thawed unless they are asked for in time", error)
        views = {uid: view for one in answers for uid, view in one.replicas.items()}
        kept, now = {uid for uid, view in views.items() if view.frozen}, trio.current_time()
        unknown = uids - views.keys() if away else set[str]()
        for namespace, one in asked.items():
            if one.uids <= kept:
                one.renewed = now
            lasts = one.uids <= kept | unknown and now - one.renewed < LAPSE_S
            if self._sleepers.get(namespace) is one and not lasts:
                one.let_go()
        for answer in answers:
            self._make_room(answer)

    def _make_room(self, answer: FreezerAnswer) -> None:
        """On a node without memory the oldest sleeper goes; the next look shows whether that helped."""
        if not pressed(answer.memory.total, answer.memory.available):
            return
        here = {
            namespace: one.since
            for namespace, one in self._sleepers.items()
            if one.uids & answer.replicas.keys()
        }
        oldest = to_go(here)
        if oldest is not None:
            _log.info("%s sleeps cold: its node is short of memory", oldest)
            self._sleepers[oldest].let_go()
