# SPDX-License-Identifier: Apache-2.0
"""Carries a pod through the phases in which there is work, one task per pod.

Each phase's work ends in one event, which is stored before the next phase begins. A kill anywhere
means that the work of the stored phase is done again, and each piece of work may be done again.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import trio

from trustedpods.protocol.codec import decode
from trustedpods.protocol.errors import (
    NetworkFailure,
    Refused,
    RemoteProtocolError,
    StoreFailure,
    TrustedPodsError,
)
from trustedpods.protocol.ids import ChannelId
from trustedpods.protocol.messages.pod import SignedStatement
from trustedpods.provider.core.lifecycle import LifecycleEvent
from trustedpods.provider.core.pod import LEAVING, WORKING, Phase, PodRecord
from trustedpods.provider.doors import Doors
from trustedpods.provider.pods.progress import ProgressFeeds
from trustedpods.provider.pods.records import Pods

if TYPE_CHECKING:
    from trio_typing import TaskStatus

_log = logging.getLogger(__name__)

RETRY_FIRST_S = 0.5
RETRY_MAX_S = 15.0
"""The pause doubles from the first to this: soon after a hiccup, and no storm on what is down."""

PATIENCE_S = 900
"""How long a pod that never ran may wait for something that cannot be reached."""

Work = Callable[[PodRecord], Awaitable[LifecycleEvent]]


class PodWorkers:
    """Starts, retries and cancels the tasks that carry pods."""

    def __init__(self, doors: Doors, pods: Pods, progress: ProgressFeeds, work: dict[Phase, Work]) -> None:
        self._doors = doors
        self._pods = pods
        self._progress = progress
        self._work = work
        self._tasks: dict[ChannelId, tuple[trio.CancelScope, trio.Event]] = {}
        self._nursery: trio.Nursery | None = None

    async def run(self, *, task_status: "TaskStatus[None]" = trio.TASK_STATUS_IGNORED) -> None:
        """Hold the tasks; never returns."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            task_status.started()
            await trio.sleep_forever()

    def ensure(self, channel: ChannelId) -> None:
        """Have a task carry the pod on, if it is in a phase with work and none does."""
        record = self._pods.get(channel)
        if self._nursery is None or record is None or record.phase not in WORKING:
            return
        if channel not in self._tasks:
            entry = (trio.CancelScope(), trio.Event())
            self._tasks[channel] = entry
            self._nursery.start_soon(self._carry, channel, *entry)

    async def stop(self, channel: ChannelId) -> None:
        """End the pod's task, wherever it is; it takes up again from the stored phase."""
        entry = self._tasks.get(channel)
        if entry is not None:
            scope, ended = entry
            scope.cancel()
            await ended.wait()

    async def give_up(self, channel: ChannelId, reason: str) -> None:
        """As `stop`, because of what others did: whoever follows the work is told why it ends."""
        if channel in self._tasks:
            await self.stop(channel)
            hint = "once the pod may run again, deploy again"
            self._progress.close(channel, Refused(reason, rule="given-up", hint=hint))

    async def _carry(self, channel: ChannelId, scope: trio.CancelScope, ended: trio.Event) -> None:
        try:
            with scope:
                pause = RETRY_FIRST_S
                while (record := self._pods.get(channel)) is not None and record.phase in WORKING:
                    if await self._try(record):
                        pause = RETRY_FIRST_S
                    else:
                        await trio.sleep(pause)
                        pause = min(RETRY_MAX_S, pause * 2)
        finally:
            del self._tasks[channel]
            ended.set()

    async def _try(self, record: PodRecord) -> bool:
        """As `_one`; books that cannot be written, or a bug, make this pod wait and nothing else."""
        try:
            return await self._one(record)
        except StoreFailure as error:
            _log.warning("%s: %s waits: %s", record.label, record.phase, error)
            self._progress.tell(record.channel, str(record.phase), f"waiting: {error}")
        except Exception:  # noqa: BLE001 - one pod must not stop the others
            _log.exception("%s: %s failed, and its failure too", record.label, record.phase)
        return False

    async def _one(self, record: PodRecord) -> bool:
        """Do the work of the record's phase; False when it has to be tried again."""
        try:
            event = await self._work[record.phase](record)
        except StoreFailure:
            raise
        except RemoteProtocolError as error:
            await self._fail(record, error)
        except NetworkFailure as error:
            if record.phase in LEAVING or self._doors.now() < record.changed_at + PATIENCE_S:
                _log.warning("%s: %s: %s; trying again", record.label, record.phase, error)
                self._progress.tell(record.channel, str(record.phase), f"waiting: {error}")
                return False
            await self._fail(record, error)
        except TrustedPodsError as error:
            await self._fail(record, error)
        except Exception:  # noqa: BLE001 - one pod must not stop the others
            _log.exception("%s: %s failed", record.label, record.phase)
            await self._fail(record, TrustedPodsError("the provider failed inside; its log says why"))
        else:
            after = await self._pods.step(record.channel, event)
            self._tell_end(after)
        return True

    async def _fail(self, record: PodRecord, error: TrustedPodsError) -> None:
        if record.phase in LEAVING:  # nothing is behind it: only trying again helps
            _log.warning("%s: removal goes on: %s", record.label, error)
            await trio.sleep(RETRY_FIRST_S)
            return
        after = await self._pods.step(record.channel, LifecycleEvent.FAILED, str(error))
        self._progress.close(record.channel, error)
        _log.info("%s: failed in phase %s, now %s", record.label, record.phase, after.phase)

    def _tell_end(self, record: PodRecord) -> None:
        if record.phase is Phase.SERVING and record.statement:
            self._progress.close(record.channel, decode_statement(record.statement))
        elif record.phase in (Phase.GONE, Phase.FAILED, Phase.RETAINED):
            self._progress.close(
                record.channel, Refused(record.reason or "the pod was removed", rule="removed")
            )


def decode_statement(stored: bytes) -> SignedStatement:
    """A statement as it is stored in the record."""
    return decode(stored, SignedStatement)
