# SPDX-License-Identifier: Apache-2.0
"""`forward`: connections to a running pod's declared ports, for whoever may command the pod."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import trio

from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.protocol.codec import decode
from trustedpods.protocol.errors import NetworkFailure, Refused
from trustedpods.protocol.messages.base import Done
from trustedpods.protocol.messages.forward import ForwardBody, ForwardPort
from trustedpods.protocol.net.bounds import PAUSE_S
from trustedpods.provider.admission.rights import CommandRights
from trustedpods.provider.core.pod import ENDED, PodRecord
from trustedpods.provider.doors import Doors
from trustedpods.provider.pods.bundles import Bundles
from trustedpods.provider.server.conversation_limits import LongVerbs
from trustedpods.provider.server.conversations import Request
from trustedpods.provider.server.exec import NOTED, PodCommands, replica_for
from trustedpods.provider.server.forwarding.forwarded import ForwardedConnections, begin
from trustedpods.provider.store import history

MAX_PER_PUBLISHER = 8
"""Port-forwards of one publisher at once: each has up to sixteen ports."""

MAX_FORWARDS = 64
"""Port-forwards of all publishers at once."""

MAX_OPEN = 256
"""Connections of all port-forwards at once; each holds up to 0.4 MiB of the daemon's memory."""

MAX_OPEN_PER_PUBLISHER = 64
"""Connections of one publisher's port-forwards at once: two full ones, and a quarter of all."""

ADDRESS_S = 1.0
"""How long a replica's address is kept: a page that opens thirty connections asks the cluster once."""

DIAL_S = 5.0
"""For a connection to a replica: it is on this cluster, and answers at once or not at all."""


class PortForwards:
    """The verb."""

    def __init__(self, doors: Doors, rights: CommandRights, bundles: Bundles, commands: PodCommands) -> None:
        self._doors = doors
        self._thawed = commands.thawed
        self._rights = rights
        self._bundles = bundles
        self._booking = commands.booking
        self._running = LongVerbs("port-forwards", f"a publisher {MAX_PER_PUBLISHER}, all {MAX_FORWARDS}")
        self._room = trio.CapacityLimiter(MAX_OPEN)
        self._rooms: dict[str, trio.CapacityLimiter] = {}

    async def forward(self, request: Request) -> None:
        """Carries connections until the client ends, or no byte moves for too long."""
        body = decode(request.opened.body, ForwardBody)
        record = self._standing(request)
        ports = self._declared(record, body)
        address = _Address(self._doors, body.replica)
        await address.now(record)
        with self._place(record) as rooms:
            request.replies.stream.outlast(PAUSE_S)
            await self._note(record, ports)
            await begin(request.replies, ports)

            async def dial(place: int) -> trio.SocketStream:
                """Whatever the pod was when this began: an update may have taken the port away."""
                record = self._standing(request)
                return await self._dial(record, address, self._declared(record, body, place)[0])

            def standing() -> None:
                self._standing(request)

            carried = self._booking(record)
            await ForwardedConnections(request, body, dial, carried, rooms, standing).run()
        await request.replies.send(Done(text="the port-forward was ended"), final=True)

    def _standing(self, request: Request) -> PodRecord:
        """The pod as it is now; Refused where it has ended, or is not the signer's to command."""
        record = self._rights.commanded_pod(request.opened)
        if record.phase in ENDED:
            raise Refused(f"the pod is {record.phase}: {record.reason}", rule="phase")
        return record

    def _declared(self, record: PodRecord, body: ForwardBody, place: int | None = None) -> list[int]:
        asked = body.ports if place is None else body.ports[place : place + 1]
        return declared_ports(self._bundles.open(record).manifest, asked)

    async def _dial(self, record: PodRecord, replica: "_Address", port: int) -> trio.SocketStream:
        """To the replica that is best now: one that ended meanwhile has another in its place."""
        await self._thawed(record)
        address = await replica.now(record)
        try:
            with trio.fail_after(DIAL_S):
                return await trio.open_tcp_stream(address, port)
        except trio.TooSlowError:
            replica.forget()
            raise NetworkFailure(f"nothing answers at port {port} of the pod within {DIAL_S:.0f} s") from None
        except OSError:
            replica.forget()
            raise NetworkFailure(f"nothing listens at port {port} of the pod") from None

    @contextmanager
    def _place(self, record: PodRecord) -> Iterator[tuple[trio.CapacityLimiter, ...]]:
        """One of the forwards that may run at once, and the rooms that its connections share."""
        publisher = record.ref.publisher
        with self._running.one_more({publisher: MAX_PER_PUBLISHER, "all": MAX_FORWARDS}):
            own = self._rooms.setdefault(publisher, trio.CapacityLimiter(MAX_OPEN_PER_PUBLISHER))
            try:
                yield own, self._room
            finally:
                if self._running[publisher] == 1:
                    del self._rooms[publisher]

    async def _note(self, record: PodRecord, ports: Sequence[int]) -> None:
        text = f"a port-forward to port {', '.join(map(str, dict.fromkeys(ports)))} started"
        await self._doors.store.write(history.note, record.channel, self._doors.now(), "forward", text, NOTED)


class _Address:
    """Of the replica that one port-forward goes to, looked up anew after `ADDRESS_S`."""

    def __init__(self, doors: Doors, asked: str | None) -> None:
        self._doors = doors
        self._asked = asked
        self._looking = trio.Lock()
        self._until = -math.inf
        self._namespace = self._found = ""

    async def now(self, record: PodRecord) -> str:
        """Refused (rule "no-replica") where there is none."""
        async with self._looking:
            if trio.current_time() >= self._until or record.namespace != self._namespace:
                self._found = await self._look(record)
                self._namespace, self._until = record.namespace, trio.current_time() + ADDRESS_S
            return self._found

    def forget(self) -> None:
        """Nothing answers there."""
        self._until = -math.inf

    async def _look(self, record: PodRecord) -> str:
        views = await self._doors.cluster.pods(record.namespace)
        name = replica_for(record, views, self._asked)
        address = next(view.ip for view in views if view.name == name)
        if address is None:
            raise Refused(f"replica {name} has no address yet", rule="no-replica")
        return address


def declared_ports(manifest: PodManifest, asked: Sequence[ForwardPort]) -> list[int]:
    """The containers' ports that are meant; Refused (rule "forward-port") for one that is not declared."""
    declared = sorted(
        {
            port.container_port
            for container in manifest.spec.running_containers
            for port in container.ports
            if port.protocol == "TCP"
        }
    )
    return [_of_service(manifest, one) if one.service else _of_container(declared, one) for one in asked]


def _of_container(declared: Sequence[int], asked: ForwardPort) -> int:
    if asked.port not in declared:
        there = ", ".join(map(str, declared)) or "none"
        raise Refused(f"the pod declares no TCP port {asked.port}; there is: {there}", rule="forward-port")
    return asked.port


def _of_service(manifest: PodManifest, asked: ForwardPort) -> int:
    for service in manifest.spec.services:
        if service.name == asked.service:
            ports = [port for port in service.ports if port.protocol == "TCP"]
            for port in ports:
                if port.port == asked.port:
                    return port.target
            there = ", ".join(str(port.port) for port in ports) or "none"
            what = f"service {asked.service} has no TCP port {asked.port}; there is: {there}"
            raise Refused(what, rule="forward-port")
    there = ", ".join(service.name for service in manifest.spec.services) or "none"
    raise Refused(f"the pod has no service {asked.service!r}; there is: {there}", rule="forward-port")
