# SPDX-License-Identifier: Apache-2.0
"""What the daemon's app holds of the facade: publish a pod, say where its replicas are, count.

Every call may be repeated, and every call compares what HAProxy has with what is wanted, so none
depends on an earlier one having ended. `sync` does it for everything: after the daemon's start,
on a timer, and when HAProxy was restarted.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import trio

from trustedpods.protocol.errors import Refused
from trustedpods.provider.core.traffic import PodAddress, SlotStats, TrafficMark, mark_of
from trustedpods.provider.facade import servers, slots
from trustedpods.provider.facade.config import backend_name
from trustedpods.provider.facade.files import read_file, replace_file
from trustedpods.provider.facade.runtime import Runtime
from trustedpods.provider.facade.servers import ServerSeen
from trustedpods.provider.facade.slots import FacadeState, SlotTable, Want

REMOVAL_TRIES = 5
REMOVAL_PAUSE_S = 0.1


@dataclass(frozen=True, slots=True)
class Published:
    """A pod's slot, and the mark from which its traffic counts if none is stored yet."""

    slot: int
    mark: TrafficMark


@dataclass(frozen=True, slots=True)
class Synced:
    """What a `sync` found: HAProxy's process, whether it is a new one, and every label's slot.

    `unfinished` are slots in which something is left to remove; the next `sync` goes on.
    """

    boot: str
    restarted: bool
    slots: dict[str, int]
    unfinished: tuple[int, ...]


class Facade:
    """The facade of one cluster. One daemon holds it; calls are done one after another."""

    def __init__(self, runtime: Runtime, *, map_file: Path, size: int) -> None:
        self._runtime = runtime
        self._map_file = map_file
        self._table: SlotTable | None = None
        self._size = size
        self._wants: dict[int, Want] = {}
        self._adopted: set[int] = set()
        self._boot: str | None = None
        self._lock = trio.Lock()

    @property
    def free_slots(self) -> int:
        """How many more pods could be published; counted at admission."""
        return self._slots.free

    def slot_of(self, label: str) -> int | None:
        """The slot of a published label."""
        return self._slots.labels.get(label)

    def label_of(self, slot: int) -> str | None:
        """Whose slot it is: what a wake request must be answered for."""
        want = self._wants.get(slot)
        return want.label if want else None

    async def sync(self, desired: FacadeState | None = None) -> Synced:
        """Make HAProxy serve exactly *desired*, or what it was told last; on a timer, the latter.

        Labels that are not in *desired* lose their slots. A slot that was found in the host map
        and has no replicas in *desired* keeps those that it has until `set_pods`: a new daemon
        does not know yet what runs. NetworkFailure if HAProxy cannot be reached.
        """
        async with self._lock:
            if desired is not None:
                self._take_over(desired)
            boot = await self._runtime.boot()
            await self._sync_hosts()
            unfinished = await self._sync_slots(await self._runtime.servers())
            restarted, self._boot = self._boot not in (None, boot), boot
            return Synced(boot, restarted, dict(self._slots.labels), tuple(sorted(unfinished)))

    async def publish(self, label: str, hosts: Iterable[str]) -> Published:
        """Send the hosts' requests to the label's slot; its pods are asleep until `set_pods`.

        After a restart of the daemon the slot is found by the hosts, and its replicas go on.
        Refused with rule `slots` or `host-taken`.
        """
        async with self._lock:
            names = tuple(hosts)
            slot = self._assign(label, names)
            old = self._wants.get(slot)
            self._wants[slot] = replace(old, hosts=names) if old else Want(label, names)
            if slot not in self._adopted:
                await self._apply(slot)
            mark = mark_of((await self._runtime.stats([slot]))[slot])
            await self._sync_hosts()
            return Published(slot, mark)

    async def withdraw(self, slot: int) -> bool:
        """Take a pod off: its hosts go, its connections are closed, its slot becomes free.

        False if something is left; the slot stays taken until a later `withdraw` or `sync`.
        """
        async with self._lock:
            self._table = slots.leave(self._slots, slot)
            self._wants.pop(slot, None)
            self._adopted.discard(slot)
            await self._sync_hosts()
            return await self._clear(slot)

    async def set_pods(
        self, slot: int, pods: Iterable[PodAddress], draining: Iterable[PodAddress] = ()
    ) -> None:
        """Where requests go. Those in *draining* get nothing new, and all others neither.

        The others are removed; one to which HAProxy still has a connection stays until a later
        call, or `sync`, finds it without.
        """
        async with self._lock:
            want = self._wants.get(slot)
            if want is None:
                raise Refused(f"nothing is published in slot {slot}", rule="slots")
            self._wants[slot] = replace(want, pods=tuple(pods), draining=tuple(draining))
            self._adopted.discard(slot)
            await self._apply(slot)

    async def drain(self, slot: int) -> int:
        """Send new requests to the activator; returns how many are still in flight."""
        async with self._lock:
            want = self._wants.get(slot)
            if want is not None:
                self._wants[slot] = replace(want, pods=(), draining=(*want.pods, *want.draining))
                await self._apply(slot)
            return (await self._runtime.stats([slot]))[slot].current

    async def stats(self, wanted: Iterable[int] | None = None) -> dict[int, SlotStats]:
        """Counters of the given slots, or of all that have a replica: sleeping ones cost nothing."""
        if wanted is None:
            wanted = [slot for slot, want in self._wants.items() if want.pods or want.draining]
        return await self._runtime.stats(wanted)

    # ---- the table and the map file ----------------------------------------------------------

    @property
    def _slots(self) -> SlotTable:
        if self._table is None:
            hosts = slots.parse_map_text(read_file(self._map_file), self._size)
            self._table = SlotTable(self._size, hosts)
        return self._table

    def _assign(self, label: str, hosts: tuple[str, ...]) -> int:
        """The label's slot; adopted if an earlier daemon had given it."""
        before = self._slots
        self._table, slot = slots.assign(before, label, hosts)
        if label not in before.labels and slot in before.hosts.values():
            self._adopted.add(slot)
        return slot

    def _take_over(self, desired: FacadeState) -> None:
        """Keep known slots, find the others, let go of what is not in *desired*."""
        wanted = {want.label for want in desired.wants}
        gone = {slot for label, slot in self._slots.labels.items() if label not in wanted}
        self._wants = {self._assign(want.label, want.hosts): want for want in desired.wants}
        for slot in gone | slots.unclaimed(self._slots):
            self._table = slots.leave(self._slots, slot)
        self._adopted -= {slot for slot, want in self._wants.items() if want.pods or want.draining}
        self._adopted &= self._wants.keys()

    async def _sync_hosts(self) -> None:
        """The file first: a restart of HAProxy between the two finds the newer state."""
        wanted = self._slots.hosts
        text = slots.map_text(wanted).encode()
        await trio.to_thread.run_sync(replace_file, self._map_file, text)
        seen = await self._runtime.hosts(self._map_file, self._size)
        await self._runtime.run(slots.host_commands(self._map_file, wanted, seen))

    # ---- servers -----------------------------------------------------------------------------

    async def _sync_slots(self, seen: tuple[ServerSeen, ...]) -> set[int]:
        unfinished = set()
        for slot in range(self._size):
            here = tuple(server for server in seen if server.slot == slot)
            want = self._wants.get(slot)
            if want is not None:
                if (here or want.pods) and slot not in self._adopted:
                    await self._apply(slot, here)
            elif (here or slot in self._slots.leaving) and not await self._clear(slot):
                unfinished.add(slot)
        return unfinished

    async def _apply(self, slot: int, seen: tuple[ServerSeen, ...] | None = None) -> None:
        want = self._wants[slot]
        if seen is None:
            seen = await self._runtime.servers(backend_name(slot))
        doomed = servers.removals(want.pods, want.draining, seen)
        for server in doomed:
            if await self._remove(server, cut=False):
                seen = tuple(other for other in seen if other is not server)
        await self._runtime.run(servers.server_commands(slot, want.pods, want.draining, seen))

    async def _remove(self, server: ServerSeen, *, cut: bool) -> bool:
        """Shut off and remove; False while HAProxy still has a connection to it."""
        *stop, delete = servers.removal_commands(server, cut=cut)
        await self._runtime.run(stop)
        for left in reversed(range(REMOVAL_TRIES if cut else 1)):
            try:
                await self._runtime.run([delete])
            except Refused:
                if left:
                    await trio.sleep(REMOVAL_PAUSE_S)
            else:
                return True
        return False

    async def _clear(self, slot: int) -> bool:
        """Remove whatever a slot's last tenant left in it, then free it."""
        name = backend_name(slot)
        left = await self._runtime.servers(name)
        clean = all([await self._remove(server, cut=True) for server in left])
        await self._runtime.run([f"shutdown sessions server {name}/{servers.ACTIVATOR}"])
        for _ in range(REMOVAL_TRIES):
            if (await self._runtime.stats([slot]))[slot].current == 0:
                break
            await trio.sleep(REMOVAL_PAUSE_S)
        else:
            clean = False
        if clean:
            self._table = slots.release(self._slots, slot)
        return clean
