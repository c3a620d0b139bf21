# SPDX-License-Identifier: Apache-2.0
"""The one holder of pod records: in memory for reading, in the store before anything follows."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace

import trio

from trustedpods.protocol.errors import Refused, StoreFailure, TrustedPodsError
from trustedpods.protocol.ids import ChannelId, host_label
from trustedpods.protocol.messages.base import sendable
from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.core import lifecycle
from trustedpods.provider.core.pod import ENDED, LEAVING, Phase, PodRecord
from trustedpods.provider.doors import Doors
from trustedpods.provider.store import history, pods
from trustedpods.provider.store.database import Tx

_log = logging.getLogger(__name__)

CommandRunner = Callable[[PodRecord, lifecycle.LifecycleCommand], Awaitable[None]]
Told = Callable[[ChannelId, str, str], None]
"""Called with each line that a pod's history gets: channel, event, text. It returns at once."""


_TAKES_AWAY = frozenset({Phase.STOPPED, Phase.AWAITING_KEY, Phase.RETAINED, *LEAVING, *ENDED})
"""Phases that give a pod nothing: they are entered also while that cannot be written down."""


ENDED_IN_MEMORY_S = 86_400
"""A pod that ended is asked about for a while; after that the books alone have its record, or a provider's
memory would grow with every pod that ever was."""


class Pods:
    """All pods that stand or ended lately; of others only that they were here, until one is asked about.

    What a pod is given is in the store before it follows. What is taken from it, and what others said of it,
    counts at once: a full disk must not keep a pod running. It is written as soon as that goes, and after a
    kill before that the chain leads to the same again.
    """

    def __init__(self, doors: Doors) -> None:
        self._doors = doors
        self._records: dict[ChannelId, PodRecord] = {}
        self._labels: dict[str, ChannelId] = {}
        self._unwritten: set[ChannelId] = set()
        self._forgotten: set[ChannelId] = set()
        self._away: set[ChannelId] = set()
        self._recalled: dict[ChannelId, UnixSeconds] = {}
        self._changing = trio.Lock()
        self._changed = trio.Event()
        self.run: CommandRunner = _nothing
        self.told: Told = _nobody

    async def load(self) -> None:
        """Read from the store, once at start: of what ended a day ago only that it was here."""
        before = UnixSeconds(self._doors.now() - ENDED_IN_MEMORY_S)
        records, long_ended = await self._doors.store.read(pods.load_at_start, before)
        for record in records:
            if record.phase in ENDED and not record.known_to_pay:
                self._forgotten.add(record.channel)
                continue
            self._compare(record.channel, record.generation)
            self._remember(record)
        for one in long_ended:
            if not one.known_to_pay:
                self._forgotten.add(one.channel)
                continue
            self._compare(one.channel, one.generation)
            self._doors.generations.note(one.channel, one.generation)
            self._away.add(one.channel)

    def _compare(self, channel: ChannelId, generation: int) -> None:
        if generation < self._doors.generations.newest(channel):
            _log.error("%s: the store was set back: this is not the pod's newest bundle", host_label(channel))

    def put_away(self) -> None:
        """Leave to the books what ended a day ago, and what nobody has asked about for a day."""
        before = self._doors.now() - ENDED_IN_MEMORY_S
        for record in [one for one in self._records.values() if one.phase in ENDED]:
            channel = record.channel
            asked = self._recalled.get(channel, UnixSeconds(0))
            if max(record.changed_at, asked) < before and channel not in self._unwritten:
                self._away.add(channel)
                self._recalled.pop(channel, None)
                del self._records[channel], self._labels[record.label]

    async def recall(self, channel: ChannelId) -> None:
        """Have the record of a pod that ended long ago at hand. StoreFailure without books."""
        if channel not in self._away:
            return
        record = await self._doors.store.read(pods.load, channel)
        if record is not None and channel in self._away:  # another request may have been quicker
            self._away.discard(channel)
            self._recalled[channel] = self._doors.now()
            self._remember(record)

    async def every(self) -> list[PodRecord]:
        """Every pod that there ever was, as the books and this process have them."""
        old = await self._doors.store.read(pods.load_all) if self._away else []
        return [*(record for record in old if record.channel in self._away), *self._records.values()]

    def get(self, channel: ChannelId) -> PodRecord | None:
        """The record of a channel."""
        return self._records.get(channel)

    def of_label(self, label: str) -> PodRecord | None:
        """The record with this host label."""
        channel = self._labels.get(label)
        return None if channel is None else self._records[channel]

    @property
    def standing(self) -> list[PodRecord]:
        """Every pod that has not ended."""
        return [record for record in self._records.values() if record.phase not in ENDED]

    async def changed(self) -> None:
        """Wait until any record changes."""
        await self._changed.wait()

    async def step(self, channel: ChannelId, event: lifecycle.LifecycleEvent, reason: str = "") -> PodRecord:
        """Let an event happen: store what follows, then run the commands that go with it."""
        reason = sendable(reason)
        async with self._changing:
            before = self._known(channel)
            after = lifecycle.step(before, event, self._doors.now(), reason)
            if after.record != before:
                await self._write_step(after.record, event, reason)
                self._remember(after.record)
                self.told(channel, str(event), reason or str(after.record.phase))
        for command in after.commands:
            await self._carry_out(after.record, command)
        return after.record

    async def _write_step(self, record: PodRecord, event: lifecycle.LifecycleEvent, reason: str) -> None:
        try:
            await self._doors.store.write(_save_step, record, event, reason)
        except StoreFailure:
            if record.phase not in _TAKES_AWAY:
                raise
            self._unwritten.add(record.channel)
        else:
            self._unwritten.discard(record.channel)

    async def learn(self, channel: ChannelId, **fields: object) -> PodRecord:
        """Change fields to what others said: it is so, whether it can be written down now or later."""
        async with self._changing:
            record = replace(self._known(channel), **fields)  # type: ignore[arg-type]
            if record != self._records[channel]:
                self._remember(record)
                self._unwritten.add(channel)
        await self.catch_up(channel)
        return record

    async def catch_up(self, *only: ChannelId) -> None:
        """Write what could not be written before, of all pods or of *only* these; never fails."""
        async with self._changing:
            await self._erase()
            for channel in self._unwritten & set(only) if only else set(self._unwritten):
                try:
                    await self._doors.store.write(pods.save, self._records[channel])
                except StoreFailure:
                    return
                except Exception:  # noqa: BLE001 - a record that no books take must not keep the others out
                    _log.exception("%s: its record cannot be written", host_label(channel))
                    continue
                self._unwritten.discard(channel)

    async def forget(self, channel: ChannelId) -> None:
        """Of a pod that ended without ever having had a channel nothing is kept, here and in the books."""
        async with self._changing:
            record = self._records.get(channel)
            if record is None or record.phase not in ENDED or record.known_to_pay:
                return
            del self._records[channel], self._labels[record.label]
            self._unwritten.discard(channel)
            self._forgotten.add(channel)
            await self._erase()
            self._wake()

    async def _erase(self) -> None:
        for channel in set(self._forgotten) - self._records.keys():
            try:
                await self._doors.store.write(pods.erase, channel)
            except StoreFailure:
                return
            self._forgotten.discard(channel)

    def _known(self, channel: ChannelId) -> PodRecord:
        record = self._records.get(channel)
        if record is None:
            raise Refused("no such pod here", rule="unknown-pod")
        return record

    async def change(self, channel: ChannelId, **fields: object) -> PodRecord:
        """Change fields that are not part of a step (what the chain said, exposures, marks)."""
        async with self._changing:
            record = replace(self._known(channel), **fields)  # type: ignore[arg-type]
            if record != self._records[channel]:
                await self._save(record)
            return record

    async def put(self, record: PodRecord) -> None:
        """Store a whole record: a new pod, or a newer bundle of a known one."""
        async with self._changing:
            await self._save(record)

    async def _save(self, record: PodRecord) -> None:
        await self._doors.store.write(pods.save, record)
        self._unwritten.discard(record.channel)
        self._remember(record)

    async def note(self, channel: ChannelId, reason: str, text: str) -> None:
        """Write a line into the pod's history; what it tells is sent on also where it cannot be written."""
        try:
            await self._doors.store.write(history.note, channel, self._doors.now(), reason, text)
        except StoreFailure as error:
            _log.warning("%s: a line of its history is lost: %s", host_label(channel), error)
        self.told(channel, reason, text)

    async def _carry_out(self, record: PodRecord, command: lifecycle.LifecycleCommand) -> None:
        """Commands may fail: the reconciler sees the difference and orders them again."""
        try:
            await self.run(record, command)
        except TrustedPodsError as error:
            _log.warning("%s: %s failed: %s", record.label, command, error)

    def _remember(self, record: PodRecord) -> None:
        self._records[record.channel] = record
        if record.known_to_pay:  # keys are free: what nobody paid for takes no room of the boot's memory
            self._doors.generations.note(record.channel, record.generation)
        self._labels[record.label] = record.channel
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


def _save_step(tx: Tx, record: PodRecord, event: lifecycle.LifecycleEvent, reason: str) -> None:
    """Record and history change together."""
    pods.save(tx, record)
    history.note(tx, record.channel, record.changed_at, str(event), reason or lifecycle.TOLD[event])


def _nobody(_channel: ChannelId, _event: str, _text: str) -> None:
    """Before the daemon is assembled nobody is told."""


async def _nothing(_record: PodRecord, _command: lifecycle.LifecycleCommand) -> None:
    """Before the daemon is assembled nothing is carried out."""
