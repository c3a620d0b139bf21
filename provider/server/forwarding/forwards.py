# SPDX-License-Identifier: Apache-2.0
"""`forward`: connections to a running pod's declared ports, for whoever may command the pod."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import trio

from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.protocol.codec import decode
from trustedpods.protocol.errors import NetworkFailure, Refused
from trustedpods.protocol.messages.base import Done
from trustedpods.protocol.messages.forward import ForwardBody, ForwardPort, ForwardStarted
from trustedpods.provider.admission.rights import CommandRights
from trustedpods.provider.core.pod import ENDED, PodRecord
from trustedpods.provider.doors import Doors
from trustedpods.provider.pods.bundles import Bundles
from trustedpods.provider.server.conversations import Request
from trustedpods.provider.server.exec import NOTED, replica_for
from trustedpods.provider.server.exec_streams import Carried
from trustedpods.provider.server.forwarding.forwarded import ForwardedConnections
from trustedpods.provider.store import history

MAX_PER_PUBLISHER = 8
"""Port-forwards of one publisher at once: each has up to sixteen ports."""

MAX_FORWARDS = 64
"""Port-forwards of all publishers at once."""

MAX_OPEN = 256
"""Connections of all port-forwards at once; each holds up to 0.4 MiB of the daemon's memory."""

DIAL_S = 5.0
"""For a connection to a replica: it is on this cluster, and answers at once or not at all."""


class PortForwards:
    """The verb."""

    def __init__(
        self, doors: Doors, rights: CommandRights, bundles: Bundles, booking: Callable[[PodRecord], Carried]
    ) -> None:
        self._doors = doors
        self._rights = rights
        self._bundles = bundles
        self._booking = booking
        self._running: Counter[str] = Counter()
        self._room = trio.CapacityLimiter(MAX_OPEN)

    async def forward(self, request: Request) -> None:
        """Carries connections until the client ends, or no byte moves for too long."""
        body = decode(request.opened.body, ForwardBody)
        record = self._rights.commanded_pod(request.opened)
        if record.phase in ENDED:
            raise Refused(f"the pod is {record.phase}: {record.reason}", rule="phase")
        ports = declared_ports(self._bundles.open(record).manifest, body.ports)
        await self._address(record, body.replica)
        with self._place(record):
            await self._note(record, ports)
            await request.replies.send(ForwardStarted(ports=ports))

            async def dial(place: int) -> trio.SocketStream:
                return await self._dial(record, body.replica, ports[place])

            carried = self._booking(record)
            await ForwardedConnections(request, body, dial, carried, self._room).run()
        await request.replies.send(Done(text="the port-forward was ended"), final=True)

    async def _address(self, record: PodRecord, asked: str | None) -> str:
        views = await self._doors.cluster.pods(record.namespace)
        name = replica_for(record, views, asked)
        address = next(view.ip for view in views if view.name == name)
        if address is None:
            raise Refused(f"replica {name} has no address yet", rule="no-replica")
        return address

    async def _dial(self, record: PodRecord, asked: str | None, port: int) -> trio.SocketStream:
        """To the replica that is best now: one that ended meanwhile has another in its place."""
        address = await self._address(record, asked)
        try:
            with trio.fail_after(DIAL_S):
                return await trio.open_tcp_stream(address, port)
        except trio.TooSlowError:
            raise NetworkFailure(f"nothing answers at port {port} of the pod within {DIAL_S:.0f} s") from None
        except OSError:
            raise NetworkFailure(f"nothing listens at port {port} of the pod") from None

    @contextmanager
    def _place(self, record: PodRecord) -> Iterator[None]:
        bounds = {record.ref.publisher: MAX_PER_PUBLISHER, "all": MAX_FORWARDS}
        if any(self._running[key] >= most for key, most in bounds.items()):
            raise Refused(
                f"too many port-forwards at once (a publisher {MAX_PER_PUBLISHER}, all {MAX_FORWARDS})",
                rule="busy",
                hint="try again when one has ended",
            )
        self._running.update(bounds.keys())
        try:
            yield
        finally:
            self._running.subtract(bounds.keys())
            self._running += Counter()  # drops what is zero

    async def _note(self, record: PodRecord, ports: Sequence[int]) -> None:
        text = f"a port-forward to port {', '.join(map(str, dict.fromkeys(ports)))} started"
        await self._doors.store.write(history.note, record.channel, self._doors.now(), "forward", text, NOTED)


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
