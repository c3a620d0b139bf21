# SPDX-License-Identifier: Apache-2.0
"""What the daemon's app holds of the facade: publish a pod, say where its replicas are, count.

Every call may be repeated, and every call compares what HAProxy has with what is wanted, so none
depends on an earlier one having ended. `sync` does it for everything: after the daemon's start,
on a timer, and when HAProxy was restarted.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import trio

from trustedpods.protocol.errors import LocalProtocolError, Refused
from trustedpods.provider.core.traffic import PodAddress, SlotStats
from trustedpods.provider.exposure.service_keys import by_pod
from trustedpods.provider.facade import filler, slots
from trustedpods.provider.facade.certificates import Certificate
from trustedpods.provider.facade.fixed_pages import FixedPages
from trustedpods.provider.facade.haproxy import config, maps, servers
from trustedpods.provider.facade.haproxy.files import read_file
from trustedpods.provider.facade.haproxy.maps import RESTING_KEY, SlotMap
from trustedpods.provider.facade.haproxy.runtime import REMOVAL_PAUSE_S, REMOVAL_TRIES, Runtime, tried
from trustedpods.provider.facade.haproxy.servers import ServerSeen
from trustedpods.provider.facade.haproxy.sessions import Session
from trustedpods.provider.facade.haproxy.tls import Certificates
from trustedpods.provider.facade.kernel.overlay import HaproxyAlone, KernelWays
from trustedpods.provider.facade.pools import Pools, SlotProtocol
from trustedpods.provider.facade.slots import (
    UNLIMITED,
    FacadeState,
    PublishedService,
    ServiceSpec,
    SlotLimits,
    SlotTable,
    Synced,
    UnpublishedService,
)

_log = logging.getLogger(__name__)


class Facade(FixedPages):
    """The facade of one cluster. One daemon holds it; calls are done one after another."""

    def __init__(
        self,
        runtime: Runtime,
        *,
        map_file: Path,
        pools: Pools,
        tls_dir: Path | None = None,
        daemon: str | None = None,
        kernel: KernelWays | HaproxyAlone | None = None,
    ) -> None:
        self._runtime = runtime
        self._kernel = kernel or HaproxyAlone()
        self._certificates = Certificates(runtime, tls_dir) if tls_dir else None
        self._map_file = map_file
        self._table: SlotTable | None = None
        self.pools = pools
        self._settings: dict[SlotMap, dict[str, str]] = {}
        self._wants: dict[int, ServiceSpec] = {}
        self._adopted: set[int] = set()
        self._untouched: set[int] = set()
        self._boot: str | None = None
        self._daemon = daemon
        self._resting = False
        self._lock = trio.Lock()

    @property
    def free_slots(self) -> int:
        """How many more services of http could be published; counted at admission."""
        return self.free()

    def free(self, protocol: SlotProtocol = SlotProtocol.HTTP) -> int:
        """How many more services of this kind could be published."""
        return self._slots.free(protocol)

    def slot_of(self, label: str) -> int | None:
        """The slot of a published label."""
        return self._slots.labels.get(label)

    def slots_of(self, pod: str) -> dict[str, int]:
        """Slots of all of a pod's services, by their keys."""
        return self.slots_by_pod().get(pod, {})

    def slots_by_pod(self) -> dict[str, dict[str, int]]:
        """The same of all pods."""
        return by_pod(self._slots.labels)

    def label_of(self, slot: int) -> str | None:
        """Whose slot it is: what a wake request must be answered for."""
        want = self._wants.get(slot)
        return want.label if want else None

    async def sync(self, desired: FacadeState | None = None) -> Synced:
        """Make HAProxy serve exactly *desired*, or what it was told last; on a timer, the latter.

        Labels that are not in *desired* lose their slots. A slot that was found in the host map
        and has no replicas in *desired* keeps those that it has until `set_pods`, unless it is said
        to sleep: a new daemon does not know yet what runs. NetworkFailure if HAProxy cannot be reached.
        """
        async with self._lock:
            if desired is not None:
                self._take_over(desired)
            boot = await self._runtime.boot()
            if self._daemon is not None:
                await trio.to_thread.run_sync(filler.note, self._map_file, self._daemon, boot)
            if desired is not None and self._certificates is not None:
                await self._drop_certificates(self._certificates.known() - self._slots.labels.keys())
            await tried(self._kernel.narrow(self._wants, self._slots.labels))  # HAProxy does not wait for it
            await self._sync_maps()
            unfinished = await self._sync_slots(await self._runtime.servers())
            await self._kernel.widen(self._wants, self._slots.labels)
            restarted, self._boot = self._boot not in (None, boot), boot
            return Synced(boot, restarted, dict(self._slots.labels), tuple(sorted(unfinished)))

    async def restarted(self) -> bool:
        """Whether HAProxy is another process than at the last `sync`; NetworkFailure if there is none."""
        return self._boot is not None and not await self._runtime.still(self._boot)

    async def publish(
        self,
        label: str,
        hosts: Iterable[str],
        protocol: SlotProtocol = SlotProtocol.HTTP,
        *,
        limits: SlotLimits = UNLIMITED,
        https_only: bool = False,
    ) -> PublishedService:
        """Send the routes' requests to the label's slot; its pods are asleep until `set_pods`.

        After a restart of the daemon the slot is found again, and its replicas go on.
        Refused with rule `slots` or `host-taken`.
        """
        want = ServiceSpec(label, tuple(hosts), protocol=protocol, limits=limits, https_only=https_only)
        found = (await self.publish_all([want]))[label]
        if isinstance(found, PublishedService):
            return found
        raise found

    async def publish_all(
        self, wants: Iterable[ServiceSpec]
    ) -> dict[str, PublishedService | UnpublishedService]:
        """The same for many services by their labels, in no more looks at the maps than for one."""
        async with self._lock:
            self._resting = False
            given: dict[str, int] = {}
            found: dict[str, PublishedService | UnpublishedService] = {}
            for want in wants:
                try:
                    given[want.label] = await self._give(want)
                except (Refused, LocalProtocolError) as error:
                    found[want.label] = error
            if not given:
                return found
            before = await self._runtime.stats(given.values())
            await self._sync_maps()
            await self._kernel.widen(self._wants, self._slots.labels)
            return found | {label: PublishedService(slot, before[slot]) for label, slot in given.items()}

    async def _give(self, want: ServiceSpec) -> int:
        """A slot for it, in which nobody else's servers are left."""
        slot = self._assign(want)
        old = self._wants.get(slot)
        self._wants[slot] = replace(want, pods=old.pods, draining=old.draining) if old else want
        if slot not in self._adopted:
            await self._apply(slot)
        return slot

    async def certify(self, label: str, certificate: Certificate | None) -> None:
        """Show the service's certificate, or none any more; the provider's own is `tls.PROVIDER`'s."""
        async with self._lock:
            if self._certificates is None:
                return
            if certificate is not None:
                await self._certificates.put(label, certificate)
            elif label in self._certificates.listed():
                await self._certificates.drop(label)

    async def withdraw(self, slot: int) -> bool:
        """Take a service off: its hosts go, its connections are closed, its slot becomes free.

        False if something is left; the slot stays taken until a later `withdraw` or `sync`.
        """
        async with self._lock:
            gone = [label for label, at in self._slots.labels.items() if at == slot]
            self._table = slots.leave(self._slots, slot)
            await self._drop_certificates(gone)
            self._wants.pop(slot, None)
            self._adopted.discard(slot)
            self._untouched.discard(slot)
            await tried(self._kernel.narrow(self._wants, self._slots.labels))
            await self._sync_maps()
            return await self._clear(slot)

    async def rest(self) -> bool:
        """Lead nowhere, until a `sync` says what to serve: another node's facade serves the pods.

        What replicas have under way may finish; services keep their slots, whose ports people know. What
        another daemon filled stays: False. NetworkFailure without HAProxy.
        """
        async with self._lock:
            boot = await self._runtime.boot()
            if self._daemon is None or filler.is_others(self._map_file, self._daemon, boot):
                return False
            self._resting, self._table = True, slots.routeless(self._slots)
            for of_slots in (self._wants, self._adopted, self._untouched):
                of_slots.clear()
            failed = [
                await tried(self._kernel.narrow(self._wants, self._slots.labels)),
                await tried(self._drop_routes()),
                await tried(self._drop_servers()),
                await tried(self._drop_certificates(self._slots.labels)),
                await tried(self._sync_setting(SlotMap.RESTING, self._setting_lines(SlotMap.RESTING))),
            ]
            for leads_still in failed[:3]:
                if leads_still is not None:
                    raise leads_still
            for error in filter(None, failed):  # with an older `haproxy.cfg` it does not say so
                _log.warning("the facade rests, though not wholly: %s", error)
            return True

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
                raise Refused(f"nothing is published in slot {slot}", rule="unpublished")
            self._wants[slot] = replace(want, pods=tuple(pods), draining=tuple(draining))
            self._adopted.discard(slot)
            await self._kernel.narrow(self._wants, self._slots.labels, slot)
            await self._apply(slot)
            await self._kernel.widen(self._wants, self._slots.labels)

    async def drain(self, slot: int) -> int:
        """Send new requests to the activator; returns how many are still in flight."""
        async with self._lock:
            want = self._wants.get(slot)
            if want is not None:
                self._wants[slot] = replace(want, pods=(), draining=(*want.pods, *want.draining))
                await self._kernel.narrow(self._wants, self._slots.labels, slot)
                await self._apply(slot)
            return (await self.stats([slot]))[slot].current

    async def stats(self, wanted: Iterable[int] | None = None) -> dict[int, SlotStats]:
        """Counters of the given slots, or of all that have a replica: sleeping ones cost nothing."""
        if wanted is None:
            wanted = [slot for slot, want in self._wants.items() if want.pods or want.draining]
        return await self._kernel.add(await self._runtime.stats(wanted), self._wants)

    def tcp_ways(self, wanted: Iterable[int]) -> dict[str, str]:
        """Which way new connections of services in these slots go, in words, by their names."""
        return self._kernel.told({slot: self._wants[slot] for slot in wanted if slot in self._wants})

    async def sessions(self) -> list[Session]:
        """What is in flight in all slots, one by one; for looks, not for counting."""
        return [*await self._runtime.sessions(), *await self._kernel.sessions()]

    async def shut(self, session: Session) -> None:
        """Cut one of them."""
        if session.led is not None:
            await self._kernel.cut(session.led)
        else:
            await self._runtime.command(f"shutdown session {session.id}")

    # ---- the table and the map files ---------------------------------------------------------

    @property
    def _slots(self) -> SlotTable:
        if self._table is None:
            entries = maps.parse_map_text(read_file(self._map_file))
            self._table = slots.parse_table(entries, self.pools)
            for which in SlotMap:
                self._settings[which] = maps.parse_map_text(read_file(which.beside(self._map_file)))
        return self._table

    def _assign(self, want: ServiceSpec) -> int:
        """The label's slot; adopted if an earlier daemon had given it."""
        before = self._slots
        self._table, slot = slots.assign(before, want.label, want.hosts, want.protocol, want.wished)
        if before.labels.get(want.label) == slot and slot not in self._wants:
            self._adopted.add(slot)
        return slot

    def _take_over(self, desired: FacadeState) -> None:
        """Keep known slots, find the others, let go of what is not in *desired*."""
        self._resting = False
        wanted = {want.label for want in desired.wants}
        self._untouched = {slot for pod in desired.untouched for slot in self.slots_of(pod).values()}
        gone = {slot for label, slot in self._slots.labels.items() if label not in wanted}
        for slot in (gone - self._untouched) | slots.orphans(self._slots):
            self._table = slots.leave(self._slots, slot)
        self._wants = {self._assign(want): want for want in desired.wants}
        self._adopted -= {
            slot
            for slot, want in self._wants.items()
            if want.pods or want.draining or want.label in desired.asleep
        }
        self._adopted &= self._wants.keys()

    async def _sync_maps(self) -> None:
        """Settings first: a route must never lead to a slot that lets through anything."""
        table = self._slots
        for which in SlotMap:
            await self._sync_setting(which, self._setting_lines(which))
        await self._runtime.sync_map(self._map_file, slots.table_entries(table))
        shared = slots.shared_hosts(table)
        if shared != self._settings[SlotMap.SHARED]:  # a host's last path is no route any more
            await self._sync_setting(SlotMap.SHARED, shared)

    async def _drop_routes(self) -> None:
        """Routes first; without its number of connections a port of tcp is closed."""
        await self._runtime.sync_map(self._map_file, slots.table_entries(self._slots))
        for which in SlotMap:
            if which is not SlotMap.RESTING:
                await self._sync_setting(which, {})

    async def _sync_setting(self, which: SlotMap, lines: dict[str, str]) -> None:
        self._settings[which] = lines
        try:
            await self._runtime.sync_map(which.beside(self._map_file), lines)
        except Refused as none:  # an older `haproxy.cfg` asks each map by itself, and has not this one
            if which is not SlotMap.ASKING or maps.UNKNOWN not in none.what:
                raise

    def _setting_lines(self, which: SlotMap) -> dict[str, str]:
        if which is SlotMap.RESTING:
            return {RESTING_KEY: "1"} if self._resting else {}
        if which is SlotMap.SHARED:
            return self._settings[which] | slots.shared_hosts(self._slots)
        return slots.setting_lines(which, self._slots, self._wants, self._settings)

    async def _drop_certificates(self, labels: Iterable[str]) -> None:
        known = self._certificates.known() if self._certificates else set()
        for label in known.intersection(labels):
            assert self._certificates is not None
            await self._certificates.drop(label)

    # ---- servers -----------------------------------------------------------------------------

    async def _sync_slots(self, seen: tuple[ServerSeen, ...]) -> set[int]:
        unfinished = set()
        servers_in: defaultdict[int, list[ServerSeen]] = defaultdict(list)
        for server in seen:
            servers_in[server.slot].append(server)
        for slot in range(self.pools.total):
            here = tuple(servers_in.get(slot, ()))
            want = self._wants.get(slot)
            if want is not None:
                if (here or want.pods) and slot not in self._adopted:
                    await self._apply(slot, here)
            elif slot in self._untouched or self._resting:
                continue
            elif (here or slot in self._slots.leaving) and not await self._clear(slot):
                unfinished.add(slot)
        return unfinished

    async def _apply(self, slot: int, seen: tuple[ServerSeen, ...] | None = None) -> None:
        want = self._wants[slot]
        if seen is None:
            seen = await self._runtime.servers(config.backend_name(slot))
        doomed = servers.removals(want.pods, want.draining, seen)
        for server in doomed:
            if await self._runtime.remove(server, cut=False):
                seen = tuple(other for other in seen if other is not server)
        commands = servers.server_commands(slot, want.pods, want.draining, seen, want.protocol)
        await self._runtime.run(commands)

    async def _drop_servers(self) -> None:
        """They get nothing new. Cut what the activator holds: it asks for a slot, whoever has it by then."""
        for server in await self._runtime.servers():
            await self._runtime.remove(server, cut=False)
        await self._runtime.run([servers.shut_activator(slot) for slot in sorted(self._slots.used)])

    async def _clear(self, slot: int) -> bool:
        """Remove whatever a slot's last tenant left in it, then free it."""
        name = config.backend_name(slot)
        left = await self._runtime.servers(name)
        clean = all([await self._runtime.remove(server, cut=True) for server in left])
        await self._runtime.run([servers.shut_activator(slot)])
        for _ in range(REMOVAL_TRIES):
            if (await self._runtime.stats([slot]))[slot].current == 0:
                break
            await trio.sleep(REMOVAL_PAUSE_S)
        else:
            clean = False
        if clean := clean and not self._kernel.may_lead(slot):
            self._table = slots.release(self._slots, slot)
        return clean
