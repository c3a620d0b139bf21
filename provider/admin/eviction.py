# SPDX-License-Identifier: Apache-2.0
"""What an operator may do to pods: send one away by its host or address, or all of them.

He does not see what is in them, and takes nothing that was not used: what is due is claimed first,
the last item of the removal releases the channel, and the publisher reads the reason in `status`.
"""

import logging

import trio

from trustedpods.protocol.errors import BadInput, Refused, TrustedPodsError
from trustedpods.protocol.ids import Address, ChannelId
from trustedpods.protocol.units import UnixSeconds, utc_text
from trustedpods.provider.admin.views import EvictedPod
from trustedpods.provider.admission.gate import Gate
from trustedpods.provider.billing.settlement import Settlement
from trustedpods.provider.core.lifecycle import LifecycleEvent
from trustedpods.provider.core.pod import ENDED, Phase, PodRecord
from trustedpods.provider.doors import Doors
from trustedpods.provider.lifecycle.workers import PodWorkers
from trustedpods.provider.pods.bundles import Bundles
from trustedpods.provider.pods.records import Pods
from trustedpods.provider.serving.autoscaler import Autoscaler
from trustedpods.provider.store.operator.rules import Rules

_log = logging.getLogger(__name__)

MAX_REASON = 400
"""Characters: a sentence or two that a publisher reads."""

SETTLE_WITHIN_S = 60.0
"""A chain that does not answer does not keep a pod here: the release settles it later."""

GONE_WITHIN_S = 100.0
"""How long the operator's command waits for the removal; it goes on without it."""


DEADLINE_LOOK_S = 5.0
"""How late the end of a notice may be met; a look costs nothing."""

HOUR_S = 3600

DRAINING, DRAIN_CANCELLED = "draining", "drain-cancelled"
"""Lines of a pod's history, which go to its publisher's webhook too."""


class Eviction:
    """Sends pods away."""

    def __init__(
        self,
        doors: Doors,
        pods: Pods,
        bundles: Bundles,
        autoscaler: Autoscaler,
        workers: PodWorkers,
        settlement: Settlement,
        gate: Gate,
    ) -> None:
        self._doors = doors
        self._pods = pods
        self._bundles = bundles
        self._autoscaler = autoscaler
        self._workers = workers
        self._gate = gate
        self._settlement = settlement
        self._leaving: set[ChannelId] = set()

    async def evict(self, target: str, reason: str, *, deny: bool = False) -> list[EvictedPod]:
        """Send away the pod that *target* means: its label, one of its hosts, or a replica's address.

        With *deny* its publisher is kept out from now on. Refused where nothing is meant by it.
        """
        record = self.meant(target.strip().lower())
        text = f"evicted by the provider's operator: {_checked(reason)}"
        if deny:
            await self._gate.deny(record.ref.publisher)
        return await self._send_away([record], text)

    async def drain(self, reason: str) -> list[EvictedPod]:
        """Take nobody in any more, and send everybody away."""
        text = _checked(reason)
        await self._gate.drain(text)
        return await self._send_away(self._pods.standing, f"the provider is being drained: {text}")

    async def announce(self, reason: str, hours: int) -> list[EvictedPod]:
        """Take nobody in any more, and send everybody away in so many *hours*; each publisher is told now.

        Said again it tells them again, and the time counts from then.
        """
        text, at = _checked(reason), UnixSeconds(self._doors.now() + hours * HOUR_S)
        await self._gate.drain(text, at)
        told = f"this pod is removed at {utc_text(at)}, as the provider is drained: {text}"
        for record in self._staying:
            await self._pods.note(record.channel, DRAINING, told)
        return [EvictedPod(label=one.label, phase=one.phase, settled=False) for one in self._pods.standing]

    async def undrain(self) -> None:
        """Take pods in again; who was told that he has to go is told that he may stay.

        Whom the end of the notice is sending away by then goes all the same.
        """
        announced = self._gate.rules.drain_at is not None
        await self._gate.drain(None)
        for record in self._staying if announced else []:
            await self._pods.note(
                record.channel, DRAIN_CANCELLED, "this pod stays: the provider is not drained"
            )

    @property
    def _staying(self) -> list[PodRecord]:
        """Pods that nobody is sending away already."""
        return [
            one
            for one in self._pods.standing
            if one.phase is not Phase.REMOVING and one.channel not in self._leaving
        ]

    @property
    def rules(self) -> Rules:
        """Whether the provider is being drained, and until when pods run."""
        return self._gate.rules

    async def keep_deadline(self) -> None:
        """Send everybody away once the time is over that was given. Never returns."""
        while True:
            await self.send_away_in_time()
            await trio.sleep(DEADLINE_LOOK_S)

    async def send_away_in_time(self) -> None:
        """One look. The time stands in the books: a restart keeps it, and what was begun is gone on with."""
        rules, now = self._gate.rules, self._doors.now()
        if rules.draining is None or rules.drain_at is None or now < rules.drain_at:
            return
        if left := self._staying:
            await self._send_away(left, f"the provider is being drained: {rules.draining}")

    def meant(self, target: str) -> PodRecord:
        """The standing pod of that label, host or replica's address, in lower case; Refused without one."""
        label = self._autoscaler.replicas.label_at(target)
        for record in self._pods.standing:
            if label == record.label or target in self.names(record):
                return record
        raise Refused(
            f"no pod here has the host or address {target!r}",
            rule="unknown-pod",
            hint="`trustedpods-provider pods` lists labels; a host begins with one",
        )

    def denies(self, publisher: Address) -> bool:
        """Whether this publisher is kept out."""
        return publisher in self._gate.rules.denied

    def names(self, record: PodRecord) -> set[str]:
        """Everything by which others know the pod: its label and its hosts, whoever serves them."""
        names = {record.label, f"{record.label}.{self._doors.config.identity.domain}"}
        try:
            opened = self._bundles.open(record)
        except TrustedPodsError:  # another boot holds its key; its label is known all the same
            return names
        exposed = opened.exposures(record.label, self._doors.config)
        names |= {route.partition("/")[0] for one in exposed for route in one.routes}
        return names | {host for service in opened.manifest.spec.services for host in service.hosts}

    async def _send_away(self, records: list[PodRecord], reason: str) -> list[EvictedPod]:
        leaving = [record for record in records if record.phase is not Phase.REMOVING]
        channels = {record.channel for record in leaving}
        self._leaving |= channels
        try:
            for record in leaving:
                await self._park(record, reason)
            settled = await self._settle(leaving) if leaving else False
            for record in leaving:
                await self._workers.stop(record.channel)
                await self._pods.step(record.channel, LifecycleEvent.EVICTED, reason)
                _log.warning("%s: %s", record.label, reason)
        finally:
            self._leaving -= channels
        with trio.move_on_after(GONE_WITHIN_S):
            await self._wait_gone(records)
        return [EvictedPod(label=one.label, phase=self._now(one).phase, settled=settled) for one in records]

    async def _park(self, record: PodRecord, reason: str) -> None:
        """Nobody is served while the chain takes its time. Where it fails the removal does it again."""
        try:
            await self._autoscaler.park(record, reason)
        except TrustedPodsError as error:
            _log.warning("%s: it is served until it is removed: %s", record.label, error)

    async def _settle(self, leaving: list[PodRecord]) -> bool:
        """Claim what is due of them up to now, if the chain answers."""
        try:
            with trio.fail_after(SETTLE_WITHIN_S):
                await self._settlement.claim(
                    prepare=False, withdraw=False, channels={one.channel for one in leaving}
                )
        except (TrustedPodsError, trio.TooSlowError) as error:
            _log.warning("nothing was claimed before the eviction: %s", error)
            return False
        return True

    async def _wait_gone(self, records: list[PodRecord]) -> None:
        while any(self._now(record).phase not in ENDED for record in records):
            for record in records:
                self._workers.ensure(record.channel)
            await self._pods.changed()

    def _now(self, record: PodRecord) -> PodRecord:
        return self._pods.get(record.channel) or record


def _checked(reason: str) -> str:
    text = " ".join(reason.split())
    if not text or len(text) > MAX_REASON or not text.isprintable():
        raise BadInput(f"write a reason of up to {MAX_REASON} characters: publishers read it", where="reason")
    return text
